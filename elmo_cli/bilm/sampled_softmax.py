"""Cross-entropy over the true word and words drawn at random, with its gradient written out.

The logits are by far the largest arrays of pre-training. Automatic differentiation goes over them a dozen
times; here one compiled pass gives the losses and the probabilities, and the gradients are two products.
"""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

# Rows are filled up to a multiple of this: the compiled pass is compiled anew for every number of rows.
_ROWS = 1024

# A logit that no softmax notices.
_NEVER = -1e9


def sampled_softmax_losses(
    hidden: Any, true_logits: Any, targets: Any, kernel: Any, bias: Any, negatives: Any
) -> Any:
    """Computes the cross-entropy of each row over its true word and the sampled ones.

    Args:
        hidden: float (N, P).
        true_logits: float32 (N,), the logit of each row's true word, corrected.
        targets: int32 (N,), the true words; where one is in the sample, too, it does not count there.
        kernel: float32 (K, P), the sampled words' rows of the softmax weights.
        bias: float32 (K,), their biases, corrected.
        negatives: int32 (K,), the sampled words.

    Returns:
        float32 (N,), in nats. Gradients reach `hidden`, `true_logits`, `kernel` and `bias`.
    """
    kernel = ops.cast(kernel, hidden.dtype)
    if keras.backend.backend() == "tensorflow":
        return _losses(hidden, true_logits, kernel, bias, targets, negatives)
    return _cross_entropy(ops.matmul(hidden, ops.transpose(kernel)), true_logits, bias, targets, negatives)[0]


def _cross_entropy(logits: Any, true_logits: Any, bias: Any, targets: Any, negatives: Any) -> Any:
    """Returns losses (N,), probabilities of the sampled words (N, K) and of the true ones (N,)."""
    exact = ops.cast(logits, "float32") + bias
    exact = ops.where(negatives[None, :] == targets[:, None], _NEVER, exact)
    highest = ops.maximum(ops.max(exact, axis=1), true_logits)
    weights, true_weights = ops.exp(exact - highest[:, None]), ops.exp(true_logits - highest)
    total = ops.sum(weights, axis=1) + true_weights
    losses = ops.log(total) + highest - true_logits
    return losses, ops.cast(weights / total[:, None], logits.dtype), true_weights / total


@tf.function(jit_compile=True, autograph=False)
def _compiled_cross_entropy(*args: tf.Tensor) -> Any:
    return _cross_entropy(*args)


@tf.custom_gradient
def _losses(
    hidden: tf.Tensor,
    true_logits: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    targets: tf.Tensor,
    negatives: tf.Tensor,
) -> Any:
    num_rows = tf.shape(hidden)[0]
    filling = -num_rows % _ROWS
    rows = tf.pad(hidden, [[0, filling], [0, 0]])
    losses, probabilities, true_probabilities = _compiled_cross_entropy(
        tf.matmul(rows, kernel, transpose_b=True),
        tf.pad(true_logits, [[0, filling]]),
        bias,
        tf.pad(targets, [[0, filling]]),
        negatives,
    )

    def gradient(upstream: tf.Tensor) -> Any:
        # What is upstream scales rows: the small factor of each product, not the probabilities.
        scale = tf.cast(tf.pad(upstream, [[0, filling]]), hidden.dtype)[:, None]
        d_hidden = scale * tf.matmul(probabilities, kernel)
        return (
            d_hidden[:num_rows],
            upstream * (true_probabilities[:num_rows] - 1.0),
            tf.matmul(probabilities, scale * rows, transpose_a=True),
            tf.cast(tf.matmul(probabilities, scale, transpose_a=True)[:, 0], bias.dtype),
            None,
            None,
        )

    return losses[:num_rows], gradient
