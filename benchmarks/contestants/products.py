"""The limit: the matrix products of an encoding alone, each timed in its own shape, nothing between them.

In both reckonings the character CNN runs once per distinct word of all sentences, and there only through
windows that begin at one of the word's characters: those beyond see padding alone, whatever the word. As
published, each position of each sentence, both marks included, then goes through two directions of LSTMs.
Ours leaves out what is computed twice or for nothing: the state after the mark that a direction reads first
is the same for all sentences, nothing follows the other mark, and the first layer's product with its input
is that of the word. Free in both are activations, clips, biases, additions, look-ups, copies of rows, and
strings; all batches count as full, and the distinct words of ours as those of all sentences.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from elmo_cli.bilm.options import BiLMOptions

# Rows of one product: sentences in a step of the LSTMs, distinct words, windows.
LSTM_ROWS = 256
WORD_ROWS = 512
WINDOW_ROWS = 4096

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Product:
    """A product that an encoding makes many times.

    Args:
        name: What it is for.
        shape: (rows, inner, outer) of (rows, inner) x (inner, outer).
        total_rows: Rows in all, of all sentences.
    """

    name: str
    shape: Shape
    total_rows: int

    @property
    def gigaflop(self) -> float:
        """Work of all rows, in units of 10^9 multiplications and additions."""
        return 2e-9 * self.total_rows * self.shape[1] * self.shape[2]


def products_of(options: BiLMOptions, texts: Sequence[str], *, as_published: bool) -> list[Product]:
    """Lists the products that an ELMo needs to encode sentences; see the module for the two reckonings.

    Args:
        options: Its shape.
        texts: Space-joined sentences.
        as_published: Whether to count as published, or what ours computes.
    """
    cnn, lstm = options.char_cnn, options.lstm
    filters, width, gates = cnn.num_filters, lstm.projection_dim, 4 * lstm.dim
    words = {word for text in texts for word in text.split(" ")}
    characters = [min(len(word.encode()) + 2, cnn.max_characters_per_token) for word in words]
    positions = sum(text.count(" ") + (3 if as_published else 1) for text in texts)
    whole_layers = lstm.num_layers if as_published else lstm.num_layers - 1
    found = [
        # All widths as one product: windows as wide as the widest filter, others filled up with zeros.
        Product(
            "convolutions", (WINDOW_ROWS, cnn.max_filter_width * cnn.embedding_dim, filters), sum(characters)
        ),
        # Both matrices of a highway side by side.
        Product("highways", (WORD_ROWS, filters, 2 * filters), cnn.num_highway * len(words)),
        Product("token projection", (WORD_ROWS, filters, width), len(words)),
        Product("gates of input and state", (LSTM_ROWS, 2 * width, gates), 2 * whole_layers * positions),
        Product("LSTM projection", (LSTM_ROWS, lstm.dim, width), 2 * lstm.num_layers * positions),
    ]
    if not as_published:
        found += [
            Product("gates of input, first layer", (WORD_ROWS, width, gates), 2 * len(words)),
            Product("gates of state, first layer", (LSTM_ROWS, width, gates), 2 * positions),
        ]
    return found


def gigaflops(shape: Shape, precision: str, *, seconds: float = 0.2) -> float:
    """Measures a product in the better of two layouts of the second matrix, as it is and transposed.

    Args:
        shape: (rows, inner, outer).
        precision: ``float32`` or ``bfloat16``.
        seconds: Time to measure for, per layout.

    Returns:
        10^9 multiplications and additions per second.
    """
    rows, inner, outer = shape
    first = tf.cast(tf.random.normal([rows, inner]), precision)
    best = 0.0
    for transposed in (False, True):
        second = tf.cast(tf.random.normal([outer, inner] if transposed else [inner, outer]), precision)
        tf.matmul(first, second, transpose_b=transposed)  # The first call is slower than the others.
        count, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < seconds:
            tf.matmul(first, second, transpose_b=transposed)  # Eager, hence finished when it returns.
            count += 1
        best = max(best, 2e-9 * count * rows * inner * outer / elapsed)
    return best
