"""A softmax from sums: right where its assumption holds, and far better than frequencies alone."""

import numpy as np
import pytest

from elmo_cli.bilm.discriminant import discriminant_softmax


def nats(kernel: np.ndarray, bias: np.ndarray, states: np.ndarray, words: np.ndarray) -> float:
    logits = states @ kernel.T + bias
    true = np.take_along_axis(logits, words[:, None], axis=1)[:, 0]
    return float(np.mean(np.log(np.exp(logits - true[:, None]).sum(axis=1))))


@pytest.fixture(scope="module")
def spread() -> tuple[np.ndarray, ...]:
    """States of 20 words that are spread alike around their means, and what predicts them best."""
    random = np.random.default_rng(0)
    frequencies = random.dirichlet(np.full(20, 5.0))
    means, mixing = random.normal(size=(20, 6)) + 3.0, random.normal(size=(6, 6)) + 2 * np.eye(6)
    words = random.choice(20, size=30_000, p=frequencies)
    states = means[words] + random.normal(size=(30_000, 6)) @ mixing
    inverse = np.linalg.inv(mixing.T @ mixing)
    kernel = means @ inverse
    return states, words, kernel, np.log(frequencies) - 0.5 * np.einsum("vp,vp->v", kernel, means)


def test_it_is_bayes_rule_where_words_are_spread_alike(spread) -> None:
    states, words, kernel, bias = spread
    batches = [(states[at : at + 1000], words[at : at + 1000]) for at in range(0, 20_000, 1000)]
    found = discriminant_softmax(batches, 20)
    assert found[0].dtype == found[1].dtype == np.float32
    best = nats(kernel, bias, states[20_000:], words[20_000:])
    frequencies_alone = nats(0 * kernel, np.log(np.bincount(words) / len(words)), states, words)
    assert frequencies_alone > best + 0.5
    assert nats(*found, states[20_000:], words[20_000:]) < best + 0.01


def test_words_that_are_rare_or_absent_get_small_finite_rows(spread) -> None:
    states, words, *_ = spread
    kernel, bias = discriminant_softmax([(states[:300], words[:300])], 25)
    assert np.isfinite(kernel).all()
    assert np.isfinite(bias).all()
    assert bias[20:].max() < bias[:20].max()
    np.testing.assert_array_equal(kernel[20:], 0)


def test_nothing_to_look_at_is_refused() -> None:
    with pytest.raises(ValueError, match="pairs is empty"):
        discriminant_softmax([], 20)
