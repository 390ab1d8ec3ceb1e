"""Pre-training as it was done in 2018: a step of a TensorFlow 1 graph, as bilm-tf's `training.py` builds it.

Every position of the batch is spelled and convolved, each LSTM is a `while_loop` of its own, gradients are
TensorFlow's, the softmax is `tf.nn.sampled_softmax_loss`, the optimizer Adagrad behind a clip of the global
norm; everything in float32.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from contestants.tf1_recipe import TF1Recipe

tf1 = tf.compat.v1


class TF1Pretraining(TF1Recipe):
    """The graph with its weights, in a session.

    Args:
        weights: The directory with options.json and weights.hdf5.
        kernel: float32 (V, P), the softmax weights of both directions.
        bias: float32 (V,).
        num_negatives: Words drawn per batch and direction.
    """

    def __init__(
        self, weights: Path, kernel: NDArray[np.float32], bias: NDArray[np.float32], num_negatives: int
    ) -> None:
        self._options = json.loads((weights / "options.json").read_text())
        self._file = h5py.File(weights / "weights.hdf5")
        self._feed: dict[Any, NDArray[np.float32]] = {}
        with self._file, tf.Graph().as_default():
            tf1.set_random_seed(0)  # of the words that are drawn
            self.texts = tf1.placeholder(tf.string, [None])
            self.padded_to = tf1.placeholder(tf.int32, [])
            self.targets = tf1.placeholder(tf.int32, [None, None])
            characters, lengths = self._characters()
            last = self._layers(self._token_vectors(characters), lengths)[-1]
            width = self._options["lstm"]["projection_dim"]
            # Forward looks from a position to the next one, backward to the one before.
            directions = [
                (last[:, :-1, :width], self.targets[:, 1:]),
                (last[:, 1:, width:], self.targets[:, :-1]),
            ]
            softmax = tf1.Variable(kernel, use_resource=True), tf1.Variable(bias, use_resource=True)
            self.losses = [_loss(*softmax, *direction) for direction in directions]
            sampled = [_sampled_loss(*softmax, *direction, num_negatives) for direction in directions]
            variables = tf1.trainable_variables()
            gradients, _ = tf.clip_by_global_norm(tf.gradients(sum(sampled) / 2, variables), 10.0)
            optimizer = tf1.train.AdagradOptimizer(0.2, initial_accumulator_value=1.0)
            self.update = optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self.session = tf1.Session()
            self.session.run(tf1.global_variables_initializer(), self._feed)
        self._feed.clear()

    def loss(self, texts: Sequence[str], targets: NDArray[np.int32]) -> NDArray[np.float32]:
        """Returns the losses of both directions over all words, in nats per token: (2,)."""
        return np.asarray(self.session.run(self.losses, self._inputs(texts, targets)))

    def step(self, texts: Sequence[str], targets: NDArray[np.int32]) -> None:
        """Takes one training step.

        Args:
            texts: B sentences of one length of T tokens, joined by single spaces.
            targets: int32 (B, T + 2), the vocabulary ids, sentence marks included.
        """
        self.session.run(self.update, self._inputs(texts, targets))

    def _inputs(self, texts: Sequence[str], targets: NDArray[np.int32]) -> dict[Any, Any]:
        return {self.texts: list(texts), self.padded_to: targets.shape[1] - 2, self.targets: targets}


def _loss(kernel: Any, bias: Any, hidden: Any, targets: Any) -> Any:
    logits = tf.matmul(tf.reshape(hidden, [-1, hidden.shape[-1]]), kernel, transpose_b=True) + bias
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.reshape(targets, [-1]), logits=logits)
    return tf.reduce_mean(losses)


def _sampled_loss(kernel: Any, bias: Any, hidden: Any, targets: Any, num_negatives: int) -> Any:
    losses = tf.nn.sampled_softmax_loss(
        kernel,
        bias,
        tf.reshape(targets, [-1, 1]),
        tf.reshape(hidden, [-1, hidden.shape[-1]]),
        num_negatives,
        int(kernel.shape[0]),
    )
    return tf.reduce_mean(losses)
