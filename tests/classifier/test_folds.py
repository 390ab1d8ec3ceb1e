"""Every row is held out once, by folds that keep the classes in proportion."""

import numpy as np

from elmo_cli.classifier.folds import folds


def test_each_row_is_held_out_once_from_the_others() -> None:
    targets = np.array([0] * 20 + [1] * 10 + [2] * 5, np.int32)
    seen = []
    for learned, held_out in folds(targets, 5):
        assert sorted([*learned, *held_out]) == list(range(35))
        assert np.bincount(targets[held_out]).tolist() == [4, 2, 1]
        seen += held_out.tolist()
    assert sorted(seen) == list(range(35))
    assert [pair[1].tolist() for pair in folds(targets, 5)] == [
        pair[1].tolist() for pair in folds(targets, 5)
    ]
    assert len(list(folds(targets, 5, num_used=1))) == 1


def test_what_no_other_row_can_tell_is_left_out() -> None:
    held_out = [row for _, rows in folds(np.array([0, 0, 0, 1, 1, 2], np.int32), 3) for row in rows]
    assert sorted(held_out) == [0, 1, 2, 3, 4]
    assert not list(folds(np.array([0, 0, 0], np.int32), 3))  # one class
    assert not list(folds(np.array([0, 1], np.int32), 5))
