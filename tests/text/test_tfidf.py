"""Sparse vectors of words and pairs of words."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from elmo_cli.text import tfidf
from elmo_cli.text.tfidf import Tfidf, character_ngrams, word_ngrams

TEXTS = ["The cat sat on the mat .", "a Cat", "", "dogs do n't sit , dogs lie", "ÉTÉ à la mer", "x"]


def test_ngrams_are_tokens_and_neighbours_in_lower_case() -> None:
    assert word_ngrams("The cat SAT") == ["the", "cat", "sat", "the cat", "cat sat"]
    assert word_ngrams("one") == ["one"]
    assert word_ngrams("") == []


def test_parts_of_words_know_where_the_word_begins_and_ends() -> None:
    assert character_ngrams("ab") == ["  a", " ab", " b ", "  ab", " ab ", "  ab "]
    assert character_ngrams("é") == ["  é", " é ", "  é "]
    scikit_learn = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5)).build_analyzer()
    assert sorted(character_ngrams("sentence")) == sorted(f" {part}" for part in scikit_learn("sentence"))


@pytest.mark.parametrize("many_rows", [1000, 2])
def test_it_computes_what_scikit_learn_does(monkeypatch: pytest.MonkeyPatch, many_rows: int) -> None:
    monkeypatch.setattr(tfidf, "MANY_ROWS", many_rows)
    min_df = 1 if many_rows > len(TEXTS) else 2

    def parts(text: str) -> list[str]:
        return [part for token in text.lower().split() for part in character_ngrams(token)]

    theirs = [
        TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True, min_df=min_df),
        TfidfVectorizer(analyzer=parts, sublinear_tf=True, min_df=min_df),
    ]
    ours = Tfidf.fit(TEXTS)
    names = [name for each in theirs for name in each.fit(TEXTS).get_feature_names_out()]
    assert list(ours.vocabulary) == sorted(names)
    others = [*TEXTS, "the the the mat unknown words", "nothing known", "\u4f60\u597d"]
    matrix = ours.transform(others)
    assert matrix.dtype == np.float32
    expected = np.hstack([each.transform(others).toarray() for each in theirs])[:, np.argsort(names)]
    np.testing.assert_allclose(matrix.toarray(), expected, atol=1e-6)
    assert ours.of_characters.sum() == len(theirs[1].vocabulary_)
    monkeypatch.setattr(tfidf, "ROWS_MULTIPLIED", 4)
    kernel = np.random.default_rng(0).normal(size=(len(names), 3)).astype(np.float32)
    np.testing.assert_allclose(ours.multiply(others, kernel), expected @ kernel, atol=1e-5)
    assert ours.multiply([], kernel).shape == (0, 3)


def test_the_most_frequent_are_kept_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfidf, "MOST_WORD_NGRAMS", 2)
    monkeypatch.setattr(tfidf, "MOST_CHARACTER_NGRAMS", 3)
    assert Tfidf.fit(["b a", "a c", "b d"]).vocabulary == ("  a", "  a ", "  b", "a", "b")


def test_many_rows_have_words_alone_and_come_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Tfidf.fit(TEXTS).transform(TEXTS)
    monkeypatch.setattr(tfidf, "CHUNK_ROWS", 4)
    assert (Tfidf.fit(TEXTS).transform(TEXTS) != whole).nnz == 0
    monkeypatch.setattr(tfidf, "MOST_ROWS_OF_CHARACTERS", len(TEXTS) - 1)
    words = Tfidf.fit(TEXTS)
    assert words.vocabulary
    assert not words.of_characters.any()


def test_texts_without_words_give_empty_rows() -> None:
    nothing = Tfidf.fit(["", ""])
    assert nothing.vocabulary == ()
    assert nothing.transform(["a", "b"]).shape == (2, 0)
    assert Tfidf.fit(TEXTS).transform([]).shape[0] == 0
