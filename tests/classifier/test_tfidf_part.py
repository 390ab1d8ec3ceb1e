"""Logistic regression on words, and what it says together with ELMo's classifier."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from elmo_cli.classifier import tfidf_part
from elmo_cli.classifier.tfidf_file import read_tfidf, write_tfidf
from elmo_cli.classifier.tfidf_part import STRENGTHS, TfidfPart
from elmo_cli.errors import RunError
from elmo_cli.text.tfidf import character_ngrams

WORDS = ("salt soup bread", "rain wind snow", "car road wheel")


def rows(num_classes: int) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(1)
    targets = (np.arange(60) % num_classes).astype(np.int32)
    texts = [" ".join(random.choice([*WORDS[target].split(), "the", "a"], 5)) for target in targets]
    return texts, targets


@pytest.fixture(scope="module")
def part() -> TfidfPart:
    return TfidfPart.fit(*rows(3))


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("balanced", [False, True])
def test_it_is_logistic_regression_of_scikit_learn(num_classes: int, balanced: bool) -> None:
    texts, targets = rows(num_classes)
    part = TfidfPart.fit(texts[1:], targets[1:], balanced=balanced)
    assert part.strength in STRENGTHS
    words = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True)
    parts = TfidfVectorizer(analyzer=parts_of_words, sublinear_tf=True)
    for vectors in (words, parts):
        vectors.fit(texts[1:])

    def transform(texts: list[str]) -> sparse.csr_matrix:
        return sparse.hstack([words.transform(texts), parts.transform(texts)]).tocsr()

    theirs = LogisticRegression(
        C=part.strength, tol=1e-7, max_iter=5000, class_weight="balanced" if balanced else None
    ).fit(transform(texts[1:]), targets[1:])
    others = [*texts, "", "unknown words"]
    expected = theirs.predict_proba(transform(others))
    np.testing.assert_allclose(np.exp(part.log_probabilities(others)), expected, atol=5e-4)


def test_with_many_classes_it_is_nearly_the_same(
    part: TfidfPart, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tfidf_part, "_MANY_WEIGHTS", 10)
    with caplog.at_level("INFO", "elmo_cli"):
        many = TfidfPart.fit(*rows(3))
    assert "for 3 classes, which takes minutes; --features elmo does without" in caplog.text
    assert many.strength == part.strength
    texts = rows(3)[0]
    found, expected = (np.exp(one.log_probabilities(texts)) for one in (many, part))
    np.testing.assert_allclose(found, expected, atol=5e-3)
    assert np.abs(found - expected).max() > 0  # another way led there


def parts_of_words(text: str) -> list[str]:
    return [part for token in text.split() for part in character_ngrams(token)]


def test_probabilities_are_multiplied_by_their_shares(part: TfidfPart) -> None:
    elmo = np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]], np.float32)
    texts = ["salt rain", "wheel wheel"]
    half = replace(part, elmo_share=0.7, tfidf_share=0.2).join(elmo, texts)
    expected = elmo[0] ** 0.7 * np.exp(part.log_probabilities(texts)[0]) ** 0.2
    np.testing.assert_allclose(half[0], expected / expected.sum(), rtol=1e-5)
    np.testing.assert_allclose(half.sum(axis=1), 1, rtol=1e-6)
    assert np.isfinite(half).all()
    np.testing.assert_allclose(replace(part, elmo_share=1, tfidf_share=0).join(elmo, texts), elmo, atol=1e-6)
    assert part.join(elmo[:0], []).shape == (0, 3)


def test_the_part_that_is_right_counts_more(part: TfidfPart) -> None:
    texts, targets = rows(3)
    wrong = np.full((60, 3), 1 / 3, np.float32)
    wrong[np.arange(60), (targets + 1) % 3] = 0.9
    right = np.exp(part.log_probabilities(texts)).astype(np.float32)
    weighed = part.weighed(wrong, right, targets, np.ones(60, np.float32))
    assert weighed.elmo_share + 0.2 < weighed.tfidf_share
    assert (weighed.join(wrong, texts).argmax(axis=1) == targets).mean() > 0.9


@pytest.mark.parametrize("balanced", [False, True])
def test_cross_fitted_rows_are_judged_by_the_other_folds(part: TfidfPart, balanced: bool) -> None:
    texts, targets = rows(3)
    texts, targets = [*texts, "a class of its own"], np.append(targets, 3).astype(np.int32)
    part = TfidfPart.fit(texts, targets, balanced=balanced)
    found = part.cross_fitted(texts, targets, balanced=balanced)
    assert np.isnan(found[-1]).all()  # no other row has its class
    np.testing.assert_allclose(found[:-1].sum(axis=1), 1, rtol=1e-5)
    assert (found[:-1].argmax(axis=1) == targets[:-1]).mean() > 0.8
    # A word that one row alone has is no help to it, unlike in the part itself.
    texts[0] = "unheard"
    part = TfidfPart.fit(texts, targets, balanced=balanced)
    own = np.exp(part.log_probabilities(texts))
    assert part.cross_fitted(texts, targets, balanced=balanced)[0, targets[0]] < own[0, targets[0]]


def test_texts_without_a_word_leave_how_frequent_the_classes_are() -> None:
    part = TfidfPart.fit(["", "", "", ""], np.array([0, 1, 1, 1], np.int32))
    np.testing.assert_allclose(np.exp(part.log_probabilities(["", "a"])), [[0.25, 0.75]] * 2, atol=1e-6)


def test_a_class_of_one_row_is_no_obstacle() -> None:
    texts, targets = ["a b", "a c", "d"], np.array([0, 0, 1], np.int32)
    assert TfidfPart.fit(texts, targets).log_probabilities(["d"]).argmax() == 1


def test_it_comes_back_from_a_file_to_the_last_bit(part: TfidfPart, tmp_path) -> None:
    part = replace(part, elmo_share=0.25)
    write_tfidf(part, tmp_path / "tfidf.npz")
    again = read_tfidf(tmp_path / "tfidf.npz")
    np.testing.assert_array_equal(
        again.log_probabilities(["salt a", ""]), part.log_probabilities(["salt a", ""])
    )
    assert (again.elmo_share, again.tfidf_share, again.strength) == (0.25, 0.5, part.strength)
    empty = TfidfPart.fit(["", ""], np.array([0, 1], np.int32))
    write_tfidf(empty, tmp_path / "empty.npz")
    assert read_tfidf(tmp_path / "empty.npz").tfidf.vocabulary == ()


def test_a_damaged_file_is_refused(part: TfidfPart, tmp_path) -> None:
    path = tmp_path / "tfidf.npz"
    with pytest.raises(RunError, match=r"tfidf.npz cannot be read"):
        read_tfidf(path)
    write_tfidf(part, path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(RunError, match=r"tfidf.npz cannot be read"):
        read_tfidf(path)
    write_tfidf(replace(part, kernel=part.kernel[1:]), path)
    with pytest.raises(RunError, match="do not fit together"):
        read_tfidf(path)


def test_it_can_learn_from_more_rows(part: TfidfPart) -> None:
    texts, targets = rows(3)
    text = "soup soup salt"  # of which the first rows say class 0
    assert part.log_probabilities([text]).argmax() == 0
    again = part.refitted([*texts, *[text] * 90], np.append(targets, np.full(90, 2)))
    assert again.log_probabilities([text]).argmax() == 2
    assert again.tfidf is part.tfidf
