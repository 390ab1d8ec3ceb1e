"""An embedder without a network, whose padding is poison, and what goes with it."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from elmo_cli.elmo.embedder import Embedder
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.text.sentences import Sentences

SOURCE = ElmoSource(handle="tiny", kind="bilm", path=Path("nowhere"), fingerprint="a" * 64)
OTHER_SOURCE = ElmoSource(handle="tiny", kind="bilm", path=Path("nowhere"), fingerprint="b" * 64)


@keras.saving.register_keras_serializable("elmo_cli_tests")
class TinyEmbedder(Embedder):
    """Two layers of width 3, functions of the token's hash and its place; NaN where there is no token.

    Attributes:
        batches: Shape (rows, tokens) of every batch it was given, in order.
    """

    num_layers = 2
    dim = 3
    token_level = True
    num_variables = 1
    num_parameters = 7

    def __init__(self, *, source: ElmoSource = SOURCE, **kwargs: Any) -> None:
        super().__init__(source=source, **kwargs)
        self.batches: list[tuple[int, int]] = []

    def call(self, sentences: Any) -> tuple[Any, Any]:
        # "" splits into no token; the contract wants one.
        tokens = tf.strings.split(tf.where(tf.strings.length(sentences) == 0, "nothing", sentences), " ")
        padded, mask = tokens.to_tensor("?"), tf.sequence_mask(tokens.row_lengths())
        tf.py_function(lambda batch: self.batches.append(tuple(batch.shape)), [padded], [])
        # (B, T), then (B, L, T, D)
        numbers = tf.cast(tf.strings.to_hash_bucket_fast(padded, 1000), "float32")
        numbers += tf.range(tf.shape(padded)[1], dtype="float32") / 7
        waves = tf.reshape(tf.constant([1.0, 1.3, 1.7, 0.2, 0.5, 0.9]), (1, 2, 1, 3))
        layers = tf.sin(numbers[:, None, :, None] * waves)
        return tf.where(mask[:, None, :, None], layers, float("nan")), mask


class WholeTextEmbedder(TinyEmbedder):
    """One vector for the whole text, T = 1."""

    token_level = False

    def call(self, sentences: Any) -> tuple[Any, Any]:
        layers, mask = super().call(sentences)
        total = tf.reduce_sum(tf.where(mask[:, None, :, None], layers, 0.0), axis=2, keepdims=True)
        return total, tf.ones_like(mask[:, :1])


def sentences(*texts: str) -> Sentences:
    lengths = np.array([len(text.split()) for text in texts], np.int32)
    return Sentences(np.array([*texts, None], object)[:-1], lengths)
