"""Encoding: once per text, in order, in batches that do not matter."""

import logging
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from classifier.tiny_embedder import OTHER_SOURCE, TinyEmbedder, sentences

from elmo_cli.classifier.encoding import MAX_ROWS, Encoded, Encoder
from elmo_cli.classifier.pooling import MaskedPooling, MaskedTokens
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.errors import ConfigError, SourceError

TEXTS = ["a b c", "d", "", "a b", "d", "the quick brown fox jumps", "a b c", "d e"]


def encoded(*texts: str, batch_tokens: int = 1000) -> np.ndarray:
    return rows_of(Encoder(TinyEmbedder(), MaskedPooling())(sentences(*texts), batch_tokens=batch_tokens))


def rows_of(encoded: Encoded) -> np.ndarray:
    """The vectors of each sentence, (N, L, P)."""
    return encoded.vectors[encoded.rows]


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
    assert encoder._keep.experimental_get_tracing_count() == 1
    assert encoder.embedder._graph.experimental_get_tracing_count() == 1


class SmallMachine(TinyEmbedder):
    """An embedder on a machine that has memory for so many tokens."""

    max_tokens = 6

    def reader(self, texts: Any) -> Any:
        read = super().reader(texts)

        def limited(rows: Any) -> Any:
            if len(rows) * max(len(texts[row].split()) for row in rows) > self.max_tokens:
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
            return read(rows)

        return limited


class FewWords(TinyEmbedder):
    """An embedder on a machine that has memory for the words of three texts."""

    def reader(self, texts: Any) -> Any:
        if len(texts) > 3:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return super().reader(texts)


def test_when_memory_runs_out_for_words_fewer_texts_are_read_at_once():
    found = rows_of(Encoder(FewWords(), MaskedPooling())(sentences(*TEXTS)))
    np.testing.assert_allclose(found, encoded(*TEXTS), atol=1e-6)


def test_when_memory_runs_out_batches_are_halved_and_work_goes_on(caplog):
    caplog.set_level(logging.WARNING)
    encoder = Encoder(SmallMachine(), MaskedPooling())
    found = rows_of(encoder(sentences(*TEXTS), batch_tokens=1000))
    np.testing.assert_allclose(found, encoded(*TEXTS), atol=1e-6)
    assert "Memory ran out with 30 tokens at once; going on with 15" in caplog.text
    caplog.clear()
    encoder(sentences(*TEXTS), batch_tokens=1000)
    assert not caplog.text


def test_a_text_too_long_for_memory_is_an_error_with_a_way_out():
    embedder = SmallMachine()
    embedder.max_tokens = 4
    with pytest.raises(ConfigError, match=r"single text of 5 tokens.*--max-length 2"):
        Encoder(embedder, MaskedPooling())(sentences(*TEXTS), batch_tokens=1000)


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


def test_batches_are_of_full_rows_where_there_are_enough():
    embedder = TinyEmbedder()
    embedder.full_rows = 4
    Encoder(embedder, MaskedPooling())(sentences(*(f"w{number}" for number in range(13))), batch_tokens=6)
    assert [rows for rows, _ in embedder.batches] == [4, 4, 4, 1]


def test_without_a_number_of_tokens_batches_take_what_memory_they_may(monkeypatch):
    monkeypatch.setattr("elmo_cli.classifier.encoding.BATCH_BYTES", 60)
    embedder = TinyEmbedder()
    embedder.token_bytes = 10
    Encoder(embedder, MaskedPooling())(sentences(*TEXTS))
    assert [rows for rows, _ in embedder.batches] == [1, 2, 3]


class Half(TinyEmbedder):
    precision = "bfloat16"


@pytest.mark.parametrize("embedder_class", [TinyEmbedder, Half])
def test_what_the_cache_has_is_not_embedded_again(embedder_class, tmp_path):
    embedder = embedder_class()
    with EmbeddingCache(tmp_path, max_bytes=10**7) as cache:
        fresh = Encoder(embedder, MaskedPooling())(sentences(*TEXTS[:4]), cache=cache)
    assert fresh.vectors.dtype == (np.float32 if embedder_class is TinyEmbedder else np.float16)
    embedder.batches.clear()
    with EmbeddingCache(tmp_path, max_bytes=10**7) as cache:
        again = Encoder(embedder, MaskedPooling())(sentences(*TEXTS), cache=cache)
    assert sum(rows for rows, _ in embedder.batches) == 2
    np.testing.assert_array_equal(rows_of(again)[:4], rows_of(fresh))
    np.testing.assert_allclose(rows_of(again), encoded(*TEXTS), atol=1e-3)


def test_other_poolings_weights_and_precisions_are_other_entries(tmp_path):
    makers = [
        lambda: Encoder(TinyEmbedder(), MaskedPooling()),
        lambda: Encoder(TinyEmbedder(), MaskedPooling(("max", "mean"))),
        lambda: Encoder(TinyEmbedder(source=OTHER_SOURCE), MaskedPooling()),
        lambda: Encoder(Half(), MaskedPooling()),
        lambda: Encoder(TinyEmbedder(), MaskedTokens()),
        lambda: Encoder(Half(), MaskedTokens()),
    ]
    with EmbeddingCache(tmp_path, max_bytes=10**7) as cache:
        for make in makers:
            encoder = make()
            encoder(sentences("a b"), cache=cache)
            assert encoder.embedder.batches == [(1, 2)]


def test_finished_batches_are_kept_when_a_later_one_fails(tmp_path):
    class Failing(TinyEmbedder):
        def reader(self, texts: Any) -> Any:
            read = super().reader(texts)

            def fail(rows: Any) -> Any:
                if "d" in texts[rows]:
                    raise KeyboardInterrupt
                return read(rows)

            return fail

    with EmbeddingCache(tmp_path, max_bytes=10**7) as cache, pytest.raises(KeyboardInterrupt):
        Encoder(Failing(), MaskedPooling())(sentences(*TEXTS), batch_tokens=6, cache=cache)
    embedder = TinyEmbedder()
    with EmbeddingCache(tmp_path, max_bytes=10**7) as cache:
        Encoder(embedder, MaskedPooling())(sentences(*TEXTS), batch_tokens=6, cache=cache)
    assert [rows for rows, _ in embedder.batches] == [3]


def test_vectors_too_many_for_memory_are_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path))
    found = Encoder(TinyEmbedder(), MaskedPooling())(sentences(*TEXTS), memory_bytes=100)
    assert isinstance(found.vectors, np.memmap)
    np.testing.assert_array_equal(rows_of(found), encoded(*TEXTS))


# --- All tokens, for a pooling that is learned ---


def tokens_of(*texts: str, **options: Any) -> np.ndarray:
    """Token vectors of each sentence, (N, L, T, D)."""
    return rows_of(Encoder(TinyEmbedder(), MaskedTokens())(sentences(*texts), **options))


def test_tokens_are_those_of_the_embedder_and_zeros_follow_them():
    vectors = tokens_of(*TEXTS)
    assert vectors.shape == (8, 2, 5, 3)
    for text, vector in zip(TEXTS, vectors, strict=True):
        layers, _ = TinyEmbedder()(tf.constant([text]))
        num_tokens = max(1, len(text.split()))
        np.testing.assert_allclose(vector[:, :num_tokens], layers[0], atol=1e-6)
        np.testing.assert_array_equal(vector[:, num_tokens:], 0)


@pytest.mark.parametrize("batch_tokens", [1, 2, 7, 20])
def test_tokens_do_not_depend_on_batches(batch_tokens):
    np.testing.assert_allclose(tokens_of(*TEXTS, batch_tokens=batch_tokens), tokens_of(*TEXTS), atol=1e-6)


def test_there_is_room_for_as_many_tokens_as_asked_for():
    assert tokens_of("a b", max_tokens=4).shape == (1, 2, 4, 3)
    assert tokens_of().shape == (0, 2, 1, 3)
    with pytest.raises(ValueError, match="max_tokens is 2, but a sentence has 3"):
        tokens_of("a b c", max_tokens=2)


@pytest.mark.parametrize("embedder_class", [TinyEmbedder, Half])
def test_the_cache_keeps_tokens_without_their_padding(embedder_class, tmp_path, monkeypatch):
    sizes, really = [], EmbeddingCache.write

    def write(cache: EmbeddingCache, items: Any) -> None:
        items = list(items)
        sizes.extend(len(value) for _, value in items)
        really(cache, items)

    monkeypatch.setattr(EmbeddingCache, "write", write)
    embedder = embedder_class()
    with EmbeddingCache(tmp_path, max_bytes=10**7) as cache:
        fresh = Encoder(embedder, MaskedTokens())(sentences(*TEXTS), cache=cache)
    number_bytes = 4 if embedder_class is TinyEmbedder else 2
    assert sorted(sizes) == [2 * num_tokens * 3 * number_bytes for num_tokens in (1, 1, 2, 2, 3, 5)]
    embedder.batches.clear()
    with EmbeddingCache(tmp_path, max_bytes=10**7) as cache:
        again = Encoder(embedder, MaskedTokens())(sentences(*TEXTS), cache=cache, max_tokens=7)
    assert not embedder.batches
    np.testing.assert_array_equal(rows_of(again)[:, :, :5], rows_of(fresh))
    np.testing.assert_array_equal(rows_of(again)[:, :, 5:], 0)


def test_what_tokens_take_is_said(caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    with EmbeddingCache(tmp_path, max_bytes=10**7) as cache:
        Encoder(TinyEmbedder(), MaskedTokens())(sentences(*TEXTS), cache=cache)
    assert "all tokens of 6 distinct texts, up to 5 tokens each, take 720 bytes" in caplog.text
    assert "0 of 6 distinct texts are in the cache" in caplog.text


def test_tokens_too_many_for_memory_are_in_a_file(tmp_path, monkeypatch):
    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path))
    found = Encoder(TinyEmbedder(), MaskedTokens())(sentences(*TEXTS), memory_bytes=100)
    assert isinstance(found.vectors, np.memmap)
    np.testing.assert_array_equal(rows_of(found), tokens_of(*TEXTS))


def test_tokens_that_are_no_numbers_name_the_text():
    class Broken(TinyEmbedder):
        def call(self, texts: Any) -> Any:
            layers, mask = super().call(texts)
            return tf.where(texts[:, None, None, None] == "d", float("nan"), layers), mask

    with pytest.raises(SourceError, match=r"the vectors of 1 of 6 texts .* first those of 'd'"):
        Encoder(Broken(), MaskedTokens())(sentences(*TEXTS))


def test_vectors_too_large_for_half_precision_say_so():
    class Large(Half):
        def call(self, texts: Any) -> Any:
            layers, mask = super().call(texts)
            return layers * 1e6, mask

    with pytest.raises(SourceError, match=r"too large for half precision. Use --precision float32"):
        Encoder(Large(), MaskedPooling())(sentences(*TEXTS))


def test_words_of_many_texts_are_read_in_parts(monkeypatch):
    monkeypatch.setattr("elmo_cli.classifier.encoding.READ_ROWS", 2)
    embedder, parts = TinyEmbedder(), []
    reader = embedder.reader
    monkeypatch.setattr(embedder, "reader", lambda texts: parts.append(len(texts)) or reader(texts))
    found = rows_of(Encoder(embedder, MaskedPooling())(sentences(*TEXTS)))
    assert parts == [2, 2, 2]
    np.testing.assert_allclose(found, encoded(*TEXTS), atol=1e-6)
