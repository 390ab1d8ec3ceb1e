"""The compiled inner loops: many training steps, or the evaluation of a block, in one call of a graph."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.training.arrays import LabelledArrays
from elmo_cli.training.prefetch import prefetched


def feed(
    rows: LabelledArrays, order: NDArray[np.int64], *, block_rows: int, class_weights: NDArray[np.float32]
) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Yields what `Steps.train` is called with, the next block made ready while the graph works.

    Args:
        rows: What to take from.
        order: Which rows, int64 (M,), in this order.
        block_rows: Rows of a block; the last one may have fewer.
        class_weights: What a row of each class counts in the loss, float32 (C,).

    Yields:
        Tensors of one block: inputs, targets, weights, order.
    """

    def tensors() -> Iterator[tuple[Any, Any, Any, Any]]:
        for block in rows.blocks(order, block_rows):
            weights = class_weights[block.targets]
            inputs, targets = tf.convert_to_tensor(block.inputs), tf.convert_to_tensor(block.targets)
            yield inputs, targets, tf.convert_to_tensor(weights), tf.convert_to_tensor(block.order)

    return prefetched(tensors())


class Steps:
    """Runs a classification model over blocks of rows.

    All batches of a call run inside one graph, so that Python costs nothing per step. A shorter last batch is
    filled up with rows that count nothing, so that the same graph serves it: a model whose layers mix the
    rows of a batch, as batch normalisation does, is not for this class. Inputs are cast to float32 batch by
    batch.

    Args:
        model: Built; takes inputs (B, ...) and gives logits (B, C).
        optimizer: Not yet built.
        batch_size: Rows per training step.
        input_shape: Shape of one row of inputs.
        input_dtype: ``float32`` or ``float16``.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        *,
        batch_size: int,
        input_shape: tuple[int, ...],
        input_dtype: str = "float32",
    ) -> None:
        self.model = model
        self.optimizer = optimizer
        self.batch_size = batch_size
        # A tf.function may not make variables when it is traced: make the optimizer's now.
        optimizer.build(model.trainable_variables)
        # Fixed signatures, so that another number of rows does not mean another trace.
        rows = [
            tf.TensorSpec([None, *input_shape], input_dtype),
            tf.TensorSpec([None], "int32"),
            tf.TensorSpec([None], "float32"),
        ]
        self.train = tf.function(self._train, input_signature=[*rows, tf.TensorSpec([None], "int32")])
        self.evaluate = tf.function(self._evaluate, input_signature=rows)

    def _train(self, inputs: Any, targets: Any, weights: Any, order: Any) -> tuple[Any, Any, Any]:
        """Takes one step per ``batch_size`` rows.

        Args:
            inputs: (M, ...) of the input type.
            targets: int32 (M,).
            weights: float32 (M,), what each row counts in the loss.
            order: int32 (M,), the order in which to use the rows.

        Returns:
            Three float32 sums over the M rows: weighted cross-entropy, weights, correct predictions.
        """
        loss_sum, weight_sum, num_correct = 0.0, 0.0, 0.0
        # Whole batches, the last one padded with -1: a known shape spares the graph a tenth of its work.
        padding = -tf.size(order) % self.batch_size
        batches = tf.reshape(tf.pad(order, [[0, padding]], constant_values=-1), [-1, self.batch_size])
        for batch in batches:
            rows, is_row = tf.maximum(batch, 0), tf.cast(batch >= 0, "float32")
            batch_targets, batch_weights = tf.gather(targets, rows), is_row * tf.gather(weights, rows)
            with tf.GradientTape() as tape:
                logits = self.model(tf.cast(tf.gather(inputs, rows), "float32"), training=True)
                losses = batch_weights * cross_entropy(batch_targets, logits)
                mean_loss = tf.reduce_sum(losses) / tf.reduce_sum(is_row)
                # Penalties, such as that on the layer mix, are part of what is minimised.
                loss = tf.add_n([mean_loss, *self.model.losses])
            variables = self.model.trainable_variables
            gradients = tape.gradient(loss, [variable.value for variable in variables])
            self.optimizer.apply(gradients, variables)
            loss_sum += tf.reduce_sum(losses)
            weight_sum += tf.reduce_sum(batch_weights)
            num_correct += tf.reduce_sum(is_row * is_correct(batch_targets, logits))
        return loss_sum, weight_sum, num_correct

    def _evaluate(self, inputs: Any, targets: Any, weights: Any) -> tuple[Any, Any, Any]:
        """Runs the model as it predicts, without dropout.

        Args:
            inputs: (M, ...) of the input type.
            targets: int32 (M,).
            weights: float32 (M,), what each row counts in the loss.

        Returns:
            Three float32 sums over the M rows: weighted cross-entropy, weights, correct predictions.
        """
        logits = self.model(tf.cast(inputs, "float32"), training=False)
        losses = weights * cross_entropy(targets, logits)
        num_correct = tf.reduce_sum(is_correct(targets, logits))
        return tf.reduce_sum(losses), tf.reduce_sum(weights), num_correct


def cross_entropy(targets: Any, logits: Any) -> Any:
    """Returns each row's cross-entropy in nats, float32 (B,), of targets int32 (B,) and logits (B, C)."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(targets, tf.cast(logits, "float32"))


def is_correct(targets: Any, logits: Any) -> Any:
    """Returns 1 for each row whose highest logit is the target's, else 0, float32 (B,)."""
    return tf.cast(tf.argmax(logits, axis=-1, output_type="int32") == targets, "float32")
