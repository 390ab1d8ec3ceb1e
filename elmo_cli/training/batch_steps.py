"""One training step per batch, for models whose batches differ in shape."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from elmo_cli.training.steps import cross_entropy, is_correct

Sums = tuple[Any, Any, Any]


class BatchSteps:
    """Takes steps of a classification model on batches that Python makes.

    A batch is a dictionary of tensors with ``targets`` int32 (B,) and ``weights`` float32 (B,), what each row
    counts in the loss, beside what the model takes. A row of weight 0 fills up: it counts nowhere.

    Args:
        forward: From a batch, with ``training`` by name, to logits (B, C).
        model: What ``forward`` is made of; its penalties are part of what is minimised.
        variables: Those that learn.
        optimizer: Built for them.
        signature: Shape and dtype of what ``forward`` takes, None where sizes vary.
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        model: keras.Model,
        variables: Sequence[keras.Variable],
        optimizer: keras.optimizers.Optimizer,
        signature: Mapping[str, tf.TensorSpec],
    ) -> None:
        self._forward = forward
        self._model = model
        self._variables = list(variables)
        self._optimizer = optimizer
        rows = {"targets": tf.TensorSpec([None], "int32"), "weights": tf.TensorSpec([None], "float32")}
        signatures = [{**signature, **rows}]
        self.train = tf.function(self._train, input_signature=signatures, autograph=False)
        self.evaluate = tf.function(self._evaluate, input_signature=signatures, autograph=False)

    def _train(self, batch: Mapping[str, Any]) -> Sums:
        """Takes one step; returns three float32 sums over the rows: cross-entropy, weights, correct ones."""
        learning = [variable.value for variable in self._variables]
        # What depends on none of them is not recorded, which saves its gradient from being built.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(learning)
            logits = self._forward(batch, training=True)
            losses = batch["weights"] * cross_entropy(batch["targets"], logits)
            mean_loss = tf.reduce_sum(losses) / _num_rows(batch)
            loss = tf.add_n([mean_loss, *self._model.losses])
        gradients = tape.gradient(loss, learning)
        # A sparse gradient may name a row twice; only its dense sum has the right square.
        self._optimizer.apply([tf.convert_to_tensor(one) for one in gradients], self._variables)
        return _sums(batch, logits, losses)

    def _evaluate(self, batch: Mapping[str, Any]) -> Sums:
        """Returns the same sums of the model as it predicts."""
        logits = self._forward(batch, training=False)
        return _sums(batch, logits, batch["weights"] * cross_entropy(batch["targets"], logits))


def _num_rows(batch: Mapping[str, Any]) -> Any:
    return tf.reduce_sum(tf.cast(batch["weights"] > 0, "float32"))


def _sums(batch: Mapping[str, Any], logits: Any, losses: Any) -> Sums:
    counts = tf.cast(batch["weights"] > 0, "float32")
    num_correct = tf.reduce_sum(counts * is_correct(batch["targets"], logits))
    return tf.reduce_sum(losses), tf.reduce_sum(batch["weights"]), num_correct
