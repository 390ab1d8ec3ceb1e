"""A product with a large square kernel, for training under TensorFlow, with its gradient written out."""

from typing import Any

import tensorflow as tf


def times(rows: Any, kernel: Any) -> tf.Tensor:
    """Multiplies rows with a kernel that learns; results are those of `tf.matmul`.

    The gradient by the rows is a product with the transposed kernel. TensorFlow takes it at half the speed of
    others in float32; not so with its sides exchanged and its outcome transposed (`benchmarks/products.py`).

    Args:
        rows: Tensor or variable, float (M, N).
        kernel: Likewise (N, K), in the dtype of ``rows``.

    Returns:
        (M, K).
    """
    # A variable must have been read: the gradient is one by tensors.
    return _times(tf.convert_to_tensor(rows), tf.convert_to_tensor(kernel))


@tf.custom_gradient
def _times(rows: tf.Tensor, kernel: tf.Tensor) -> Any:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if kernel.dtype == tf.float32:
            by_rows = tf.transpose(tf.matmul(kernel, upstream, transpose_b=True))
        else:
            by_rows = tf.matmul(upstream, kernel, transpose_b=True)
        return by_rows, tf.matmul(rows, upstream, transpose_a=True)

    return tf.matmul(rows, kernel), gradient
