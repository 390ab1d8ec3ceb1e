"""Rows dealt out to folds, so that each can be judged by what has not learned from it."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def folds(
    targets: NDArray[np.int32], num_folds: int, *, num_used: int | None = None
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Deals the rows of each class out to folds in turn; the same rows always give the same folds.

    Args:
        targets: Class ids, int32 (N,).
        num_folds: How many.
        num_used: How many of them are held out in turn; all, when absent.

    Yields:
        Numbers of the rows to learn from, and of those held out, int64 each. A held-out row whose class no
        other row has is left out, for nothing could tell it; so is a fold from whose others nothing is
        learned, since they have one class or none.
    """
    fold = np.empty(len(targets), np.int64)
    fold[np.lexsort((np.random.default_rng(0).random(len(targets)), targets))] = np.arange(len(targets))
    fold %= num_folds
    for number in range(num_folds if num_used is None else num_used):
        learned, held_out = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        held_out = held_out[np.isin(targets[held_out], targets[learned])]
        if len(np.unique(targets[learned])) >= 2 and len(held_out):
            yield learned, held_out
