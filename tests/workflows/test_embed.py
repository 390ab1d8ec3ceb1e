"""Embedding: the vectors that a network in plain NumPy gives, chosen, pooled and mixed."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bilm.oracle import Oracle
from classifier.tiny_embedder import TinyEmbedder, WholeTextEmbedder

import elmo_cli
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.errors import ConfigError, DataError, SourceError
from elmo_cli.text.sentences import cut
from elmo_cli.text.tokens import tokenizer
from elmo_cli.workflows import embed
from elmo_cli.workflows.embed import Embedding
from elmo_cli.workflows.predict import Predictor

TEXTS = ["The soup isn't cold.", "Frost", "", "He ate, drank and slept."]
TABLE = pd.DataFrame({"id": [1, 2, 3, 4], "text": TEXTS}, index=[7, 7, 0, 2])


load_once = functools.cache(embed.load_embedder)


@pytest.fixture(autouse=True)
def _graphs_are_traced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "load_embedder", load_once)


@pytest.fixture(scope="module")
def layers(tiny: Path) -> dict[str, np.ndarray]:
    """Of each text all layers, float64 (3, T, 16)."""
    oracle = Oracle(tiny / "elmo" / "options.json", tiny / "elmo" / "weights.hdf5")
    joined = tokenizer("treebank").join_all(TEXTS)
    return {text: oracle.layers(tokens.split(" ")) for text, tokens in zip(TEXTS, joined, strict=True)}


def close(found: Any, expected: list[np.ndarray]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("chosen", "of_layers"),
    [
        ("mix", lambda layers: layers.mean(axis=0)),
        ("all", lambda layers: layers),
        ("2", lambda layers: layers[2]),
        ("2,0", lambda layers: layers[[2, 0]]),
    ],
)
@pytest.mark.parametrize(
    ("pool", "pooled"),
    [
        ("none", lambda layers: layers),
        ("mean", lambda layers: layers.mean(axis=1)),
        ("max,mean", lambda layers: np.concatenate([layers.max(axis=1), layers.mean(axis=1)], axis=-1)),
    ],
)
def test_vectors_are_those_of_the_network(
    tiny: Path, layers: dict[str, np.ndarray], chosen: str, of_layers: Any, pool: str, pooled: Any
) -> None:
    embedding = Embedding(layers=chosen, pool=pool, elmo=str(tiny / "elmo"))
    found = embedding(TABLE)
    assert {vectors.dtype for vectors in found} == {np.dtype(np.float32)}
    close(found, [of_layers(pooled(layers[text])) for text in TEXTS])
    if pool != "none":
        assert isinstance(found, np.ndarray)
        assert embedding.layout.shape == found.shape[1:]


def test_a_run_brings_its_mix_and_what_it_knows_of_texts(
    tiny: Path, layers: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(tiny / "run", precision="float32")
    monkeypatch.setattr(embed, "Predictor", lambda *_, **__: predictor)
    mix = predictor.classifier.classifier.mix
    w, gamma = np.asarray(mix.w, np.float64), float(mix.gamma)
    assert w.any(), "training changed nothing, the test would say nothing"
    shares = np.exp(w) / np.exp(w).sum()
    embedding = Embedding(pool="none", run=tiny / "run")
    assert embedding.max_tokens == predictor.preprocessor.max_tokens
    expected = [gamma * np.tensordot(shares, layers[text], 1) for text in TEXTS]
    close(embedding(TABLE), expected)
    pooled = Embedding(pool="mean", run=tiny / "run")(TABLE)
    close(pooled, [vectors.mean(axis=0) for vectors in expected])
    shorter = Embedding(pool="none", run=tiny / "run", max_length=2, tokenizer="whitespace")(TABLE)
    assert [len(vectors) for vectors in shorter] == [2, 1, 1, 2]


def test_half_precision_is_asked_for(tiny: Path) -> None:
    whole, half = (Embedding(dtype=dtype, elmo=str(tiny / "elmo"))(TABLE) for dtype in ("float32", "float16"))
    np.testing.assert_array_equal(half, whole.astype(np.float16), strict=True)


def test_columns_are_found_by_names_that_are_no_strings(tiny: Path) -> None:
    expected = Embedding(elmo=str(tiny / "elmo"))(TABLE)
    for table, column in (
        (pd.DataFrame(TEXTS), None),
        (TABLE.set_axis([2026, 7], axis=1), "7"),
        (TABLE.set_axis([2026, 7], axis=1), "2"),
    ):
        embedding = Embedding(elmo=str(tiny / "elmo"), text_column=column)
        np.testing.assert_array_equal(embedding(table), expected)


@pytest.mark.parametrize("pool", ["mean", "none"])
def test_no_rows_give_no_vectors(tiny: Path, pool: str) -> None:
    found = Embedding(layers="all", pool=pool, elmo=str(tiny / "elmo"))(TABLE.iloc[:0])
    assert len(found) == 0
    assert pool == "none" or found.shape == (0, 3, 16)


def test_what_it_cannot_do_is_said(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no layer 3; .*elmo has 3 layers, 0 to 2"):
        Embedding(layers="3", elmo=str(tiny / "elmo"))
    with pytest.raises(SourceError, match="nowhere"):
        Embedding(elmo=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="which column holds the texts"):
        Embedding(elmo=str(tiny / "elmo"))(pd.DataFrame({"a": ["x"], "b": ["y"]}))


@pytest.fixture
def tiny_embedder(monkeypatch: pytest.MonkeyPatch) -> TinyEmbedder:
    """Counts the batches it is given."""
    embedder = TinyEmbedder()
    monkeypatch.setattr(embed, "load_embedder", lambda *_: embedder)
    return embedder


@pytest.mark.parametrize("pool", ["mean", "none"])
def test_pieces_give_what_the_whole_gives(
    tiny_embedder: TinyEmbedder, monkeypatch: pytest.MonkeyPatch, pool: str
) -> None:
    texts = ["a", "b c d e f g h", "c d", "", "a b", "c d", "e f g h i j"] * 3
    sentences = cut(texts, 10)
    (_, whole), = Embedding(pool=pool, layers="all").pieces(sentences)  # fmt: skip
    assert sum(rows for rows, _ in tiny_embedder.batches) == len(set(texts))
    # Of one token 24 bytes: room for three rows of seven tokens.
    monkeypatch.setattr(embed, "PIECE_BYTES", 24 * (3 * 7 if pool == "none" else 3))
    pieces = list(Embedding(pool=pool, layers="all").pieces(sentences))
    assert len(pieces) >= 7
    assert [row for rows, _ in pieces for row in range(rows.start, rows.stop)] == list(range(len(texts)))
    for rows, vectors in pieces:
        longest = int(sentences.lengths[rows].max())
        room = (rows.stop - rows.start) * 24 * (longest if pool == "none" else 1)
        assert room <= embed.PIECE_BYTES
        for found, expected in zip(vectors, whole[rows], strict=True):
            np.testing.assert_array_equal(found, expected, strict=True)


def test_pooled_vectors_are_cached_and_those_of_tokens_are_not(
    tiny_embedder: TinyEmbedder, tmp_path: Path
) -> None:
    with EmbeddingCache(tmp_path) as cache:
        first = Embedding(cache=cache)(TABLE)
        num_batches = len(tiny_embedder.batches)
        np.testing.assert_array_equal(Embedding(layers="mix", cache=cache)(TABLE), first)
        assert len(tiny_embedder.batches) == num_batches
        size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
        Embedding(pool="none", cache=cache)(TABLE)
        Embedding(pool="none", cache=cache)(TABLE)
    assert len(tiny_embedder.batches) > num_batches + 1
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == size


def test_a_vector_too_large_for_half_precision_is_said(
    tiny_embedder: TinyEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = Embedding(dtype="float16")
    embedding.mix.gamma.assign(1e6)
    with pytest.raises(ConfigError, match=r"--dtype float16: .* too large.*--dtype float32"):
        embedding(TABLE)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_mix_too_large_for_any_type_is_said(tiny_embedder: TinyEmbedder, dtype: str) -> None:
    embedding = Embedding(dtype=dtype)
    embedding.mix.gamma.assign(3e38)
    with pytest.raises(ConfigError, match=r"--layers mix: .* too large for a float32\. Use --layers all"):
        embedding._chosen(np.full((1, 2, 3), 2, np.float32))


def test_one_vector_for_a_whole_text(monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = WholeTextEmbedder()
    monkeypatch.setattr(embed, "load_embedder", lambda *_: embedder)
    found = Embedding(layers="all")(TABLE)
    assert found.shape == (4, 2, 3)
    with pytest.raises(ConfigError, match="--pool none: tiny gives one vector for a whole text"):
        Embedding(pool="none")


def test_the_public_name_is_this() -> None:
    assert elmo_cli.Embedding is Embedding
    assert "Embedding" in elmo_cli.__all__
