"""The order of rows in an epoch."""

import numpy as np
import pytest

from elmo_cli.training import order
from elmo_cli.training.order import batches_of_like_length, epoch_order


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(order, "WINDOW_ROWS", 40)
    monkeypatch.setattr(order, "RUN_ROWS", 8)


@pytest.mark.parametrize("num_rows", [1, 39, 40, 41, 163])
def test_every_row_comes_once(small_windows, num_rows):
    assert sorted(epoch_order(num_rows, seed=1, epoch=0)) == list(range(num_rows))


@pytest.mark.parametrize("num_rows", [40, 163])
def test_it_depends_on_seed_and_epoch_alone(small_windows, num_rows):
    first = epoch_order(num_rows, seed=1, epoch=2).tolist()
    np.random.default_rng().random()
    assert epoch_order(num_rows, seed=1, epoch=2).tolist() == first
    assert epoch_order(num_rows, seed=1, epoch=3).tolist() != first
    assert epoch_order(num_rows, seed=2, epoch=2).tolist() != first


def test_few_rows_are_shuffled_as_a_whole():
    numbers = epoch_order(1000, seed=1, epoch=0)
    np.testing.assert_array_equal(numbers, np.random.default_rng((1, 0)).permutation(1000))


def test_of_many_rows_a_window_holds_whole_runs_from_everywhere(small_windows):
    numbers = epoch_order(4000, seed=1, epoch=0)
    windows = numbers.reshape(-1, 40)
    for window in windows:
        _, counts = np.unique(window // 8, return_counts=True)
        assert counts.tolist() == [8] * 5
        assert (np.diff(window) != 1).sum() > 30  # and they are shuffled
    assert np.median(np.ptp(windows, axis=1)) > 2000


@pytest.mark.parametrize("num_rows", [1, 7, 8, 163])
def test_batches_of_like_length_hold_every_row_once(num_rows):
    lengths = np.random.default_rng(0).integers(1, 30, num_rows).astype(np.int32)
    batches = batches_of_like_length(lengths, 8, seed=1, epoch=0)
    assert sorted(np.concatenate(batches)) == list(range(num_rows))
    assert sorted(map(len, batches))[1:] == [8] * (len(batches) - 1)


def test_batches_of_like_length_pad_little_and_come_in_another_order_each_epoch():
    lengths = np.random.default_rng(0).integers(1, 30, 400).astype(np.int32)
    first, again, second = (batches_of_like_length(lengths, 8, seed=1, epoch=epoch) for epoch in (0, 0, 1))
    assert np.mean([np.ptp(lengths[batch]) for batch in first]) < 2
    assert np.array_equal(np.concatenate(first), np.concatenate(again))
    assert not np.array_equal(np.concatenate(first), np.concatenate(second))
    longest = [lengths[batch].max() for batch in first]
    assert longest != sorted(longest)
