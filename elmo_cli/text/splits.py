"""Splits of rows, the same for the same seed."""

import numpy as np
import numpy.typing as npt

from elmo_cli.errors import DataError


def stratified_split(
    targets: npt.NDArray[np.int32], fraction: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Splits rows in two so that each class is represented in proportion.

    Each class gives the whole part of its share, then the classes with the largest rest give one more row
    until the wanted number is reached. Every class keeps at least one row for training.

    Args:
        targets: int32 (N,), class ids; N at least 2.
        fraction: Wanted share of validation rows, in (0, 1).
        seed: Decides which rows.

    Returns:
        Row numbers for training and for validation, int64, each sorted, together 0 … N-1; neither is empty.

    Raises:
        DataError: For fewer than two rows.
    """
    num_rows = len(targets)
    if num_rows < 2:
        raise DataError(
            "A table with fewer than two rows cannot be split. Give more rows, or a --valid table."
        )
    random = np.random.default_rng(seed)
    classes, counts = np.unique(targets, return_counts=True)
    wanted = min(max(round(fraction * num_rows), 1), num_rows - 1)
    shares = fraction * counts
    given = np.minimum(shares.astype(np.int64), counts - 1)
    # The largest rest first; of equal ones the class with more rows, then the smaller id.
    order = np.lexsort((classes, -counts, -(shares - np.floor(shares))))
    while given.sum() < wanted and (given < counts - 1).any():
        for position in order:
            if given.sum() < wanted and given[position] < counts[position] - 1:
                given[position] += 1
    if not given.any():  # every class has one row only
        given[random.integers(len(classes))] = 1
    chosen = [
        random.permutation(np.flatnonzero(targets == name))[:number]
        for name, number in zip(classes, given, strict=True)
    ]
    is_valid = np.zeros(num_rows, dtype=bool)
    is_valid[np.concatenate(chosen)] = True
    return np.flatnonzero(~is_valid), np.flatnonzero(is_valid)
