"""Fine-tuning as TensorFlow 1 would do it: a step of its graph, ELMo's gradient included.

Every position of the batch is spelled and convolved, each LSTM is a `while_loop` of its own, gradients are
TensorFlow's, the optimizer is Adam behind a clip of the global norm; everything in float32.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from contestants.tf1_recipe import TF1Recipe, mean_of_tokens

tf1 = tf.compat.v1


class TF1FineTuning(TF1Recipe):
    """The graph with its weights, in a session.

    Args:
        weights: The directory with options.json and weights.hdf5.
        kernel: float32 (L * 2P, C), of a linear head on the means of all layers, each a third.
        learning_rate: Adam's step size.
    """

    def __init__(self, weights: Path, kernel: NDArray[np.float32], learning_rate: float) -> None:
        self._options = json.loads((weights / "options.json").read_text())
        self._file = h5py.File(weights / "weights.hdf5")
        self._feed: dict[Any, NDArray[np.float32]] = {}
        with self._file, tf.Graph().as_default():
            self.texts = tf1.placeholder(tf.string, [None])
            self.padded_to = tf1.placeholder(tf.int32, [])
            self.targets = tf1.placeholder(tf.int32, [None])
            characters, lengths = self._characters()
            layers = self._layers(self._token_vectors(characters), lengths)
            pooled = tf.concat([mean_of_tokens(layer, lengths) for layer in layers], axis=1) / len(layers)
            logits = pooled @ tf1.Variable(kernel, use_resource=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=self.targets, logits=logits)
            self.loss_ = tf.reduce_mean(losses)
            variables = tf1.trainable_variables()
            gradients, _ = tf.clip_by_global_norm(tf.gradients(self.loss_, variables), 1.0)
            optimizer = tf1.train.AdamOptimizer(learning_rate, beta2=0.99)
            self.update = optimizer.apply_gradients(zip(gradients, variables, strict=True))
            self.session = tf1.Session()
            self.session.run(tf1.global_variables_initializer(), self._feed)
        self._feed.clear()

    def loss(self, texts: Sequence[str], targets: NDArray[np.int32]) -> float:
        """Returns the mean cross-entropy of a batch, in nats."""
        return float(self.session.run(self.loss_, self._inputs(texts, targets)))

    def step(self, texts: Sequence[str], targets: NDArray[np.int32]) -> None:
        """Takes one step on B texts, space-joined, with class ids int32 (B,)."""
        self.session.run(self.update, self._inputs(texts, targets))

    def _inputs(self, texts: Sequence[str], targets: NDArray[np.int32]) -> dict[Any, Any]:
        longest = max(text.count(" ") + 1 for text in texts)
        return {self.texts: list(texts), self.padded_to: longest, self.targets: targets}
