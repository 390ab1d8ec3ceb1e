import numpy as np

from elmo_cli.bilm.negatives import NegativeSampler


def test_words_are_drawn_as_often_as_expected() -> None:
    sampler = NegativeSampler(50, 12, seed=1)
    counts, expected = np.zeros(50), np.zeros(50)
    for step in range(4000):
        words, log_expected = sampler.draw(step)
        counts[words] += 1
        expected += np.exp(log_expected)
    np.testing.assert_allclose(counts / 4000, expected / 4000, atol=0.04)
    assert log_expected.dtype == np.float32


def test_probabilities_are_log_uniform_by_rank() -> None:
    once = np.exp(NegativeSampler(50, 1, seed=1).draw(0)[1])
    np.testing.assert_allclose(once.sum(), 1, rtol=1e-5)
    np.testing.assert_allclose(once[:9].sum(), np.log(10) / np.log(51), rtol=1e-5)


def test_a_draw_holds_so_many_distinct_words_and_is_repeatable() -> None:
    sampler = NegativeSampler(1000, 500, seed=1)
    words, _ = sampler.draw(3)
    assert words.dtype == np.int32
    assert len(words) == 500
    assert (np.diff(words) > 0).all()
    assert words[0] >= 0
    assert words[-1] < 1000
    np.testing.assert_array_equal(words, NegativeSampler(1000, 500, seed=1).draw(3)[0])
    for other in (sampler.draw(4)[0], NegativeSampler(1000, 500, seed=2).draw(3)[0]):
        assert (other != words).any()


def test_as_many_words_as_there_are_need_no_correction() -> None:
    words, log_expected = NegativeSampler(20, 500, seed=1).draw(0)
    np.testing.assert_array_equal(words, np.arange(20))
    np.testing.assert_array_equal(log_expected, np.zeros(20))
