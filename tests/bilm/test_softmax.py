"""The softmax in a file of its own, and for other words."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bilm.tiny_bilm import tiny_bilm

from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.softmax import Softmax
from elmo_cli.bilm.vocabulary import Vocabulary
from elmo_cli.errors import SourceError


@pytest.fixture
def softmax() -> Softmax:
    random = np.random.default_rng(0)
    vocabulary = Vocabulary(("<S>", "</S>", "<UNK>", "the", "cat", "naïve"))
    kernel = random.normal(size=(6, 5)).astype(np.float16).astype(np.float32)
    return Softmax(vocabulary, kernel, random.normal(size=6).astype(np.float32))


@pytest.mark.parametrize("cased", [False, True])
def test_it_comes_back_from_its_file(softmax: Softmax, tmp_path: Path, cased: bool) -> None:
    vocabulary = Vocabulary(softmax.vocabulary.words, cased)
    Softmax(vocabulary, softmax.kernel, softmax.bias).write(tmp_path / "softmax.npz")
    again = Softmax.read(tmp_path / "softmax.npz", 5)
    assert again.vocabulary == vocabulary
    np.testing.assert_array_equal(again.kernel, softmax.kernel)
    np.testing.assert_array_equal(again.bias, softmax.bias)
    model = LanguageModel(tiny_bilm(), 6)
    again.assign_to(model)
    np.testing.assert_array_equal(model.softmax_kernel, softmax.kernel)


def test_what_cannot_be_read_or_belongs_elsewhere_is_refused(softmax: Softmax, tmp_path: Path) -> None:
    path = tmp_path / "softmax.npz"
    softmax.write(path)
    with pytest.raises(SourceError, match=r"softmax\.npz: a softmax of \(6, 5\) was found.*learned anew"):
        Softmax.read(path, 7)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SourceError, match=r"softmax\.npz: not a readable softmax"):
        Softmax.read(path, 5)


def probabilities(softmax: Softmax, state: np.ndarray) -> dict[str, float]:
    logits = softmax.kernel @ state + softmax.bias
    return dict(zip(softmax.vocabulary.words, np.exp(logits) / np.exp(logits).sum(), strict=True))


def test_new_words_share_what_the_unknown_word_had(softmax: Softmax) -> None:
    vocabulary = Vocabulary(("<S>", "</S>", "<UNK>", "naïve", "virus", "cat", "vaccine", "the"))
    counts = Counter({"the": 50, "Virus": 2, "virus": 4, "vaccine": 3, "rare": 1})
    state = np.random.default_rng(1).normal(size=5)
    before, after = probabilities(softmax, state), probabilities(softmax.for_words(vocabulary, counts), state)
    for word in ("<S>", "</S>", "the", "cat", "naïve"):
        assert after[word] == pytest.approx(before[word], rel=1e-5)
    for word, share in {"virus": 0.6, "vaccine": 0.3, "<UNK>": 0.1}.items():
        assert after[word] == pytest.approx(before["<UNK>"] * share, rel=1e-5)


def test_without_new_words_nothing_changes(softmax: Softmax) -> None:
    same = softmax.for_words(softmax.vocabulary, Counter({"the": 3}))
    np.testing.assert_array_equal(same.kernel, softmax.kernel)
    np.testing.assert_allclose(same.bias, softmax.bias, rtol=1e-6)
