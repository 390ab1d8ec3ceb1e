"""The most confused pairs."""

import numpy as np

from elmo_cli.evaluation.confused_pairs import ConfusedPair, confused_pairs


def test_the_most_frequent_mistakes_come_first_and_equals_in_the_order_of_the_classes() -> None:
    confusion = np.array([[5, 1, 0], [1, 0, 3], [0, 2, 8]], np.int64)
    assert confused_pairs(confusion, max_pairs=9) == [
        ConfusedPair(1, 2, 3, 0.75),
        ConfusedPair(2, 1, 2, 0.2),
        ConfusedPair(0, 1, 1, 1 / 6),
        ConfusedPair(1, 0, 1, 0.25),
    ]
    assert confusion.diagonal().tolist() == [5, 0, 8]


def test_no_more_pairs_than_asked_for() -> None:
    confusion = np.arange(16, dtype=np.int64).reshape(4, 4)
    assert [pair.num_rows for pair in confused_pairs(confusion, max_pairs=2)] == [14, 13]


def test_without_mistakes_there_is_no_pair() -> None:
    assert confused_pairs(np.eye(3, dtype=np.int64), max_pairs=5) == []
