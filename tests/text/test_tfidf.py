"""Sparse vectors of words and pairs of words."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from elmo_cli.text import tfidf
from elmo_cli.text.tfidf import Tfidf, ngrams

TEXTS = ["The cat sat on the mat .", "a Cat", "", "dogs do n't sit , dogs lie", "ÉTÉ à la mer", "x"]


def test_ngrams_are_tokens_and_neighbours_in_lower_case() -> None:
    assert ngrams("The cat SAT") == ["the", "cat", "sat", "the cat", "cat sat"]
    assert ngrams("one") == ["one"]
    assert ngrams("") == []


@pytest.mark.parametrize("many_rows", [1000, 2])
def test_it_computes_what_scikit_learn_does(monkeypatch: pytest.MonkeyPatch, many_rows: int) -> None:
    monkeypatch.setattr(tfidf, "MANY_ROWS", many_rows)
    theirs = TfidfVectorizer(
        token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True, min_df=1 if many_rows > len(TEXTS) else 2
    ).fit(TEXTS)
    ours = Tfidf.fit(TEXTS)
    assert list(ours.vocabulary) == theirs.get_feature_names_out().tolist()
    others = [*TEXTS, "the the the mat unknown words", "nothing known"]
    matrix = ours.transform(others)
    assert matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.toarray(), theirs.transform(others).toarray(), atol=1e-6)


def test_the_most_frequent_are_kept_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfidf, "MOST_NGRAMS", 2)
    assert Tfidf.fit(["b a", "a c", "b d"]).vocabulary == ("a", "b")


def test_texts_without_words_give_empty_rows() -> None:
    nothing = Tfidf.fit(["", ""])
    assert nothing.vocabulary == ()
    assert nothing.transform(["a", "b"]).shape == (2, 0)
    assert Tfidf.fit(TEXTS).transform([]).shape[0] == 0
