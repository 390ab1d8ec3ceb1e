import numpy as np
import pytest

from elmo_cli.errors import DataError
from elmo_cli.text.splits import stratified_split


def test_each_class_is_represented_in_proportion() -> None:
    targets = np.repeat(np.arange(3, dtype=np.int32), [100, 50, 10])
    train, valid = stratified_split(targets, 0.2, 1)
    assert np.bincount(targets[valid]).tolist() == [20, 10, 2]
    assert sorted([*train, *valid]) == list(range(160))
    assert train.dtype == valid.dtype == np.int64
    assert (np.diff(train) > 0).all()
    assert (np.diff(valid) > 0).all()


def test_the_wanted_number_of_rows_is_reached_by_the_largest_rests() -> None:
    targets = np.repeat(np.arange(4, dtype=np.int32), [13, 17, 19, 1])
    _, valid = stratified_split(targets, 0.1, 1)
    assert np.bincount(targets[valid], minlength=4).tolist() == [1, 2, 2, 0]


def test_the_same_seed_gives_the_same_rows_and_another_one_others() -> None:
    targets = np.tile(np.arange(2, dtype=np.int32), 50)
    first, again, other = (stratified_split(targets, 0.3, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_a_class_with_one_row_stays_in_training() -> None:
    targets = np.array([0, 1, 0, 0, 0], dtype=np.int32)
    for seed in range(10):
        train, valid = stratified_split(targets, 0.6, seed)
        assert 1 in train
        assert len(valid) == 3


@pytest.mark.parametrize("fraction", [0.001, 0.999])
@pytest.mark.parametrize("targets", [[0, 1], [0, 0], [0, 1, 2, 3], [0, 0, 1, 1, 1]])
def test_neither_side_is_ever_empty(fraction: float, targets: list[int]) -> None:
    train, valid = stratified_split(np.array(targets, dtype=np.int32), fraction, 0)
    assert len(train) > 0
    assert len(valid) > 0


def test_one_row_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"fewer than two rows cannot be split.*--valid"):
        stratified_split(np.zeros(1, dtype=np.int32), 0.5, 0)
