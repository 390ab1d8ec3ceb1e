"""Perplexity over the whole vocabulary, against a NumPy oracle that shares no code with the model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from bilm.oracle import Oracle
from bilm.tiny_bilm import oracle_of, tiny_bilm

from elmo_cli.bilm import perplexity
from elmo_cli.bilm.batches import Speller
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.perplexity import measure_perplexity
from elmo_cli.bilm.vocabulary import Vocabulary

WORDS = ("<S>", "</S>", "<UNK>", "the", "The", "cat", "sat", "on", "mat", ".")
HELD_OUT = [
    ["The", "cat", "sat", "."],
    ["the", "zebra", "sat", "on", "the", "Mat"],
    ["On"],
    ["cat", "cat", "cat", "cat"],
]


def oracle_perplexities(
    oracle: Oracle, kernel: np.ndarray, bias: np.ndarray, sentences: Sequence[Sequence[str]], *, cased: bool
) -> tuple[list[float], float]:
    """Perplexity per direction and the share of tokens outside the vocabulary, a loop over every token."""
    nats: list[list[float]] = [[], []]
    num_unknown = 0
    for tokens in sentences:
        words = [token if cased else token.lower() for token in tokens]
        ids = [0, *(WORDS.index(word) if word in WORDS[3:] else 2 for word in words), 1]
        num_unknown += ids.count(2)
        top = oracle.read(tokens)[0][:, -1]  # (2, T + 2, P)
        for direction, step in enumerate((1, -1)):
            for at in range(len(ids)):
                if not 0 <= at + step < len(ids):
                    continue
                logits = kernel @ top[direction, at] + bias
                nats[direction].append(np.log(np.exp(logits).sum()) - logits[ids[at + step]])
    perplexities = [float(np.exp(np.mean(direction))) for direction in nats]
    return perplexities, num_unknown / len(nats[0])


@pytest.mark.parametrize("cased", [False, True])
def test_perplexity_is_that_of_an_oracle(tmp_path: Path, cased: bool) -> None:
    random = np.random.default_rng(3)
    bilm = tiny_bilm(seed=4)
    model = LanguageModel(bilm, len(WORDS))
    kernel, bias = random.normal(size=model.softmax_kernel.shape), random.normal(size=len(WORDS))
    model.softmax_kernel.assign(kernel)
    model.softmax_bias.assign(bias)
    (forward, backward), unknown_share = oracle_perplexities(
        oracle_of(bilm, tmp_path), kernel, bias, HELD_OUT, cased=cased
    )
    result = measure_perplexity(model, HELD_OUT, Vocabulary(WORDS, cased), Speller(50, 3), batch_tokens=8)
    assert result.forward == pytest.approx(forward, rel=1e-5)
    assert result.backward == pytest.approx(backward, rel=1e-5)
    assert abs(forward - backward) > 0.1  # so that neither stands for the other
    assert result.tokens == 15 + 4  # every token has the same weight, and every sentence one mark
    assert result.unknown_share == pytest.approx(unknown_share)
    assert unknown_share == pytest.approx((3 if cased else 1) / 19)


def test_a_model_that_is_far_off_has_an_infinite_perplexity() -> None:
    result = measure_perplexity(
        lambda batch: np.array([1000.0, 2.0]), HELD_OUT, Vocabulary(WORDS), Speller(50, 3), batch_tokens=8
    )
    assert result.forward == result.nats == np.inf
    assert result.backward == pytest.approx(np.exp(2.0))


def test_a_large_vocabulary_makes_small_batches_and_no_other_result(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences, vocabulary = [*HELD_OUT, HELD_OUT[0], HELD_OUT[0]], Vocabulary(WORDS)
    sizes: list[int] = []

    def losses(batch: dict[str, np.ndarray]) -> np.ndarray:
        sizes.append(batch["targets"].shape[0] * (batch["targets"].shape[1] - 1))
        ids = batch["targets"].astype(float)
        return np.array([ids[:, 1:].mean(), ids[:, :-1].mean()])

    whole = measure_perplexity(losses, sentences, vocabulary, Speller(50, 3), batch_tokens=100)
    assert max(sizes) == 20
    sizes.clear()
    monkeypatch.setattr(perplexity, "_MOST_LOGITS", 2 * len(WORDS) * 5)  # of five tokens
    parts = measure_perplexity(losses, sentences, vocabulary, Speller(50, 3), batch_tokens=100)
    assert sorted(sizes) == [2, 5, 5, 5, 5, 7]  # the longest sentence is a batch of its own
    assert (parts.tokens, parts.unknown_share) == (whole.tokens, whole.unknown_share)
    assert parts.nats == pytest.approx(whole.nats, rel=1e-12)
