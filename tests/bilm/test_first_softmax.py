"""A softmax from sums: far better than frequencies alone, and true to them."""

import numpy as np
import pytest

from elmo_cli.bilm.first_softmax import SCALES, FirstSoftmax


def log_probabilities(kernel: np.ndarray, bias: np.ndarray, states: np.ndarray) -> np.ndarray:
    logits = states @ kernel.T + bias
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def spread() -> tuple[np.ndarray, np.ndarray]:
    """States of 20 words, spread around each word's mean."""
    random = np.random.default_rng(0)
    means, mixing = random.normal(size=(20, 6)) + 3.0, random.normal(size=(6, 6)) + 2 * np.eye(6)
    words = random.choice(20, size=30_000, p=random.dirichlet(np.full(20, 5.0)))
    return means[words] + random.normal(size=(30_000, 6)) @ mixing, words


@pytest.fixture(scope="module")
def first(spread: tuple[np.ndarray, np.ndarray]) -> FirstSoftmax:
    states, words = spread
    return FirstSoftmax.of(
        ((states[at : at + 1000], words[at : at + 1000]) for at in range(0, 20_000, 1000)), 20
    )


def test_a_part_of_the_step_predicts_far_better_than_frequencies(first: FirstSoftmax, spread) -> None:
    states, words = spread[0][20_000:], spread[1][20_000:]
    nats = {
        scale: -log_probabilities(*first.scaled(scale), states)[np.arange(len(words)), words].mean()
        for scale in SCALES
    }
    assert min(nats.values()) < nats[0.0] - 0.3


def test_no_step_is_frequencies_alone(first: FirstSoftmax, spread) -> None:
    words = spread[1]
    kernel, bias = first.scaled(0.0)
    assert kernel.dtype == bias.dtype == np.float32
    np.testing.assert_array_equal(kernel, 0)
    np.testing.assert_allclose(np.exp(bias), np.bincount(words[:20_000]) / 20_000, rtol=0.02)


def test_words_stay_about_as_likely_as_they_are_frequent(first: FirstSoftmax, spread) -> None:
    states, words = spread
    mean_probability = np.exp(log_probabilities(*first.scaled(0.25), states)).mean(axis=0)
    np.testing.assert_allclose(mean_probability, np.bincount(words) / len(words), atol=0.02)


def test_words_that_are_absent_get_rows_of_zeros(spread) -> None:
    states, words = spread
    kernel, bias = FirstSoftmax.of([(states[:300], words[:300])], 25).scaled(1.0)
    assert np.isfinite(kernel).all()
    assert np.isfinite(bias).all()
    np.testing.assert_array_equal(kernel[20:], 0)


def test_nothing_to_look_at_is_refused() -> None:
    with pytest.raises(ValueError, match="pairs is empty"):
        FirstSoftmax.of([], 20)
