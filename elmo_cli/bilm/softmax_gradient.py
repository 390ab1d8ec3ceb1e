"""The sampled softmax for training under TensorFlow, with its gradient written out.

The logits are by far the largest arrays of pre-training. Automatic differentiation goes over them a dozen
times; here one compiled pass gives the losses and the probabilities, and the gradients are two products.
"""

from typing import Any

import tensorflow as tf

from elmo_cli.bilm.sampled_softmax import cross_entropy

# Rows are filled up to a multiple of this: the compiled pass is compiled anew for every number of rows.
_ROWS = 512


@tf.function(jit_compile=True, autograph=False)
def _compiled_cross_entropy(*args: tf.Tensor) -> Any:
    return cross_entropy(*args)


@tf.custom_gradient
def losses_for_training(
    hidden: tf.Tensor,
    true_logits: tf.Tensor,
    kernel: tf.Tensor,
    bias: tf.Tensor,
    targets: tf.Tensor,
    negatives: tf.Tensor,
) -> Any:
    """Does what `sampled_softmax.sampled_softmax_losses` does; the kernel is in the dtype of `hidden`."""
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
