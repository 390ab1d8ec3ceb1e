import numpy as np

from elmo_cli.bilm.negatives import NegativeSampler


def test_words_are_drawn_as_often_as_expected() -> None:
    sampler = NegativeSampler(50, 40, seed=1)
    counts = np.zeros(50)
    for step in range(4000):
        counts[sampler.draw(step)] += 1
    np.testing.assert_allclose(counts / 4000, np.exp(sampler.log_expected), atol=0.04)
    assert sampler.log_expected.dtype == np.float32


def test_probabilities_are_log_uniform_by_rank() -> None:
    once = np.exp(NegativeSampler(50, 1, seed=1).log_expected)
    np.testing.assert_allclose(once.sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(once[:9].sum(), np.log(10) / np.log(51), rtol=1e-5)


def test_a_draw_holds_distinct_words_and_is_repeatable() -> None:
    sampler = NegativeSampler(1000, 500, seed=1)
    words = sampler.draw(3)
    assert words.dtype == np.int32
    assert (np.diff(words) > 0).all()
    assert words[0] >= 0
    assert words[-1] < 1000
    np.testing.assert_array_equal(words, NegativeSampler(1000, 500, seed=1).draw(3))
    for other in (sampler.draw(4), NegativeSampler(1000, 500, seed=2).draw(3)):
        assert len(other) != len(words) or (other != words).any()
