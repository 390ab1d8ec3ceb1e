"""Which classes are taken for which, the most frequent mistakes first."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ConfusedPair:
    """Rows of one class that were predicted as another.

    Args:
        true: Id of the true class.
        predicted: Id of the class it was taken for.
        num_rows: How often that happened, at least 1.
        share: The same as a share of the rows of the true class, in (0, 1].
    """

    true: int
    predicted: int
    num_rows: int
    share: float


def confused_pairs(confusion: NDArray[np.int64], *, max_pairs: int) -> list[ConfusedPair]:
    """Returns the pairs that were confused most often; among equals in the order of the classes.

    Args:
        confusion: int64 (K, K), rows true, columns predicted.
        max_pairs: How many to return at most.
    """
    errors = confusion.copy()
    np.fill_diagonal(errors, 0)
    support = confusion.sum(axis=1)
    pairs = []
    for cell in np.argsort(-errors, axis=None, kind="stable")[:max_pairs].tolist():
        true, predicted = divmod(cell, len(errors))
        num_rows = int(errors[true, predicted])
        if num_rows == 0:
            break
        pairs.append(ConfusedPair(true, predicted, num_rows, num_rows / int(support[true])))
    return pairs
