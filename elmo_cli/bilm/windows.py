"""The convolutions of a character CNN for training under TensorFlow, on no more windows than there are.

A batch of words is as wide as its longest one, so that most windows of a convolution see padding alone, and
all of those see the same. Here each word has the windows that begin in it and one of padding, and a product
of these with the kernels takes the place of the convolutions. Results are the same.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from elmo_cli.bilm.characters import PADDING

# Less than any filter finds, in a window that it does not fit into.
_NEVER = -1e30


def best_windows(embedding: tf.Tensor, kernels: Sequence[tf.Tensor], character_ids: tf.Tensor) -> tf.Tensor:
    """Finds what each filter gives for that window of each word which suits it best.

    Args:
        embedding: Characters' vectors, float (261, E).
        kernels: Per width w its filters, float (w, E, number), in the dtype of ``embedding``.
        character_ids: int32 (M, W), values 0 to 260; W at least the greatest w.

    Returns:
        (M, F), the filters of all widths side by side: what the maximum over all W - w + 1 windows is.
    """
    widest = max(kernel.shape[0] for kernel in kernels)
    num_words, width = tf.unstack(tf.shape(character_ids))
    # Windows begin at each letter and at the first place after the last: (N,) words and places.
    places = tf.range(width)
    num_letters = tf.reduce_max(tf.where(character_ids != PADDING, places + 1, 0), axis=1)
    num_windows = tf.minimum(num_letters + 1, width)
    words = tf.repeat(tf.range(num_words), num_windows)
    begins = tf.range(tf.size(words)) - tf.gather(tf.cumsum(num_windows, exclusive=True), words)
    # Their characters: (N, widest, E), then (N, widest * E)
    padded = tf.pad(character_ids, [[0, 0], [0, widest - 1]], constant_values=PADDING)
    at = (words * (width + widest - 1) + begins)[:, None] + tf.range(widest)
    seen = tf.gather(embedding, tf.gather(tf.reshape(padded, [-1]), at))
    seen = tf.reshape(seen, (-1, widest * embedding.shape[1]))
    # A window near the right end has no room for the wide filters.
    room = tf.one_hot(tf.minimum(width - begins, widest) - 1, widest, dtype=seen.dtype)
    found = tf.matmul(tf.concat([seen, room], axis=1), _all_filters(kernels, widest))
    return tf.math.segment_max(found, words)


def _all_filters(kernels: Sequence[tf.Tensor], widest: int) -> tf.Tensor:
    """Returns one kernel of all filters, as wide as the widest, with a row for each room: (N, F)."""
    columns = []
    for kernel in kernels:
        width, dim, number = kernel.shape
        below = np.zeros(((widest - width) * dim + widest, number), np.float32)
        below[len(below) - widest : len(below) - widest + width - 1] = _NEVER
        columns.append(
            tf.concat([tf.reshape(kernel, (width * dim, number)), tf.constant(below, kernel.dtype)], axis=0)
        )
    return tf.concat(columns, axis=1)
