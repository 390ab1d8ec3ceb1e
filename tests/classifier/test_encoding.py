"""Encoding: once per text, in order, in batches that do not matter."""

import logging
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from classifier.tiny_embedder import TinyEmbedder, sentences

from elmo_cli.classifier.encoding import MAX_ROWS, Encoder
from elmo_cli.classifier.pooling import MaskedPooling
from elmo_cli.errors import ConfigError, SourceError

TEXTS = ["a b c", "d", "", "a b", "d", "the quick brown fox jumps", "a b c", "d e"]


def encoded(*texts: str, batch_tokens: int = 1000) -> np.ndarray:
    return Encoder(TinyEmbedder(), MaskedPooling())(sentences(*texts), batch_tokens=batch_tokens)


def test_rows_come_back_in_their_order():
    vectors = encoded(*TEXTS)
    assert vectors.shape == (8, 2, 6)
    assert vectors.dtype == np.float32
    for text, vector in zip(TEXTS, vectors, strict=True):
        layers, mask = TinyEmbedder()(tf.constant([text]))
        np.testing.assert_allclose(vector, MaskedPooling()(layers, mask)[0], atol=1e-6)


@pytest.mark.parametrize("batch_tokens", [1, 2, 7, 20])
def test_vectors_do_not_depend_on_batches(batch_tokens):
    np.testing.assert_allclose(encoded(*TEXTS, batch_tokens=batch_tokens), encoded(*TEXTS), atol=1e-6)


def test_vectors_do_not_depend_on_order():
    np.testing.assert_allclose(encoded(*TEXTS[::-1])[::-1], encoded(*TEXTS), atol=1e-6)


def test_each_distinct_text_is_embedded_once_longest_first_within_the_budget():
    embedder = TinyEmbedder()
    Encoder(embedder, MaskedPooling())(sentences(*TEXTS), batch_tokens=6)
    assert embedder.batches == [(1, 5), (2, 3), (3, 2)] or embedder.batches == [(1, 5), (2, 3), (3, 1)]
    assert sum(rows for rows, _ in embedder.batches) == len(set(TEXTS))


def test_rows_of_a_batch_are_capped():
    embedder = TinyEmbedder()
    texts = [f"w{number}" for number in range(MAX_ROWS + 1)]
    Encoder(embedder, MaskedPooling())(sentences(*texts), batch_tokens=10**6)
    assert [rows for rows, _ in embedder.batches] == [MAX_ROWS, 1]


def test_no_text_gives_no_vector():
    assert encoded().shape == (0, 2, 6)


def test_one_trace_serves_every_batch_and_call():
    encoder = Encoder(TinyEmbedder(), MaskedPooling())
    for batch_tokens in (1, 5, 100):
        encoder(sentences(*TEXTS), batch_tokens=batch_tokens)
    assert encoder._embed_and_pool.experimental_get_tracing_count() == 1


def limited(max_tokens: int) -> Encoder:
    """An encoder whose machine has memory for so many tokens."""
    encoder = Encoder(TinyEmbedder(), MaskedPooling())
    embed_and_pool = encoder._embed_and_pool

    def embed(texts: Any) -> Any:
        if len(texts) * max(len(text.split()) for text in texts.numpy()) > max_tokens:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return embed_and_pool(texts)

    encoder._embed_and_pool = embed
    return encoder


def test_when_memory_runs_out_batches_are_halved_and_work_goes_on(caplog):
    caplog.set_level(logging.WARNING)
    encoder = limited(6)
    np.testing.assert_allclose(encoder(sentences(*TEXTS), batch_tokens=1000), encoded(*TEXTS), atol=1e-6)
    assert "Memory ran out with 30 tokens at once; going on with 15" in caplog.text
    caplog.clear()
    encoder(sentences(*TEXTS), batch_tokens=1000)
    assert not caplog.text


def test_a_text_too_long_for_memory_is_an_error_with_a_way_out():
    with pytest.raises(ConfigError, match=r"single text of 5 tokens.*--max-length 2"):
        limited(4)(sentences(*TEXTS), batch_tokens=1000)


def test_vectors_that_are_no_numbers_name_the_elmo_and_the_text():
    class Broken(TinyEmbedder):
        def call(self, texts: Any) -> Any:
            layers, mask = super().call(texts)
            return tf.where(texts[:, None, None, None] == "d", float("nan"), layers), mask

    with pytest.raises(SourceError, match=r"tiny: the vectors of 1 of 6 texts .* first those of 'd'"):
        Encoder(Broken(), MaskedPooling())(sentences(*TEXTS), batch_tokens=1000)


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        encoded("a", batch_tokens=0)


def test_progress_counts_distinct_rows(monkeypatch):
    seen = []

    def track(items: Any, *, total: int, description: str) -> Any:
        seen.append((len(list(items)), total, description))
        return iter(())

    monkeypatch.setattr("elmo_cli.classifier.encoding.track", track)
    encoded(*TEXTS)
    assert seen == [(6, 6, "embedding")]
