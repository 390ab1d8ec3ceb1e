"""The limit: the matrix products of an encoding alone, each timed in its own shape, nothing between them.

Counted is what the network must multiply: each position of each sentence goes through two directions of
LSTMs, sentence marks included; each distinct word of all sentences goes through the character CNN once, and
there only through windows that begin at one of its characters: the windows beyond see padding alone, whatever
the word. Free in this reckoning are activations, clips, biases, additions, look-ups, copies of rows and
strings, and every batch counts as full.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from elmo_cli.bilm.options import BiLMOptions

# Rows of a product: sentences in a batch for the LSTMs, distinct words or windows for the rest.
LSTM_ROWS = 256
CNN_ROWS = 512
WINDOW_ROWS = 4096


@dataclass(frozen=True)
class Product:
    """A product (rows, inner) x (inner, outer) that an encoding makes many times.

    Args:
        name: What it is for.
        rows: Rows in one product.
        inner: Columns of the first matrix.
        outer: Columns of the second.
        total_rows: Rows in all, of all sentences.
    """

    name: str
    rows: int
    inner: int
    outer: int
    total_rows: int

    @property
    def gigaflop(self) -> float:
        """Work of all rows, in units of 10^9 multiplications and additions."""
        return 2e-9 * self.total_rows * self.inner * self.outer


def products_of(options: BiLMOptions, texts: Sequence[str]) -> list[Product]:
    """Lists the products that an ELMo of some shape needs to encode space-joined sentences."""
    cnn, lstm = options.char_cnn, options.lstm
    positions = sum(text.count(" ") + 3 for text in texts)
    steps = 2 * lstm.num_layers * positions
    words = {word for text in texts for word in text.split(" ")}
    characters = [min(len(word.encode()) + 2, cnn.max_characters_per_token) for word in words]
    # All widths as one product: windows are as wide as the widest filter, others are filled up with zeros.
    window = cnn.max_filter_width * cnn.embedding_dim
    filters, width = cnn.num_filters, lstm.projection_dim
    return [
        Product("LSTM gates", LSTM_ROWS, 2 * width, 4 * lstm.dim, steps),
        Product("LSTM projection", LSTM_ROWS, lstm.dim, width, steps),
        Product("convolutions", WINDOW_ROWS, window, filters, sum(characters)),
        # Both matrices of a highway side by side.
        Product("highways", CNN_ROWS, filters, 2 * filters, cnn.num_highway * len(words)),
        Product("token projection", CNN_ROWS, filters, width, len(words)),
    ]


def gigaflops(product: Product, precision: str, *, seconds: float = 0.2) -> float:
    """Measures a product in the better of two layouts of the second matrix, as it is and transposed.

    Args:
        product: The shape.
        precision: ``float32`` or ``bfloat16``.
        seconds: Time to measure for, per layout.

    Returns:
        10^9 multiplications and additions per second.
    """
    first = tf.cast(tf.random.normal([product.rows, product.inner]), precision)
    best = 0.0
    for transposed in (False, True):
        shape = [product.outer, product.inner] if transposed else [product.inner, product.outer]
        second = tf.cast(tf.random.normal(shape), precision)
        tf.matmul(first, second, transpose_b=transposed)  # The first call is slower than the others.
        count, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            tf.matmul(first, second, transpose_b=transposed)  # Eager, hence finished when it returns.
            count += 1
        best = max(best, 2e-9 * count * product.rows * product.inner * product.outer / elapsed)
    return best
