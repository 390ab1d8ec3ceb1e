"""What a model is trained on: inputs and targets, in memory or in a file that is mapped into it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

INPUT_DTYPES = (np.float32, np.float16)


@dataclass(frozen=True)
class Block:
    """Some labelled rows, copied: what one call of a graph works on.

    Args:
        inputs: float32 or float16 (M, ...).
        targets: Class ids, int32 (M,).
        order: The order in which to use the M rows, int32 (M,).
    """

    inputs: NDArray[Any]
    targets: NDArray[np.int32]
    order: NDArray[np.int32]


@dataclass(frozen=True)
class LabelledArrays:
    """N rows with the class of each.

    Inputs may be larger than memory (`numpy.memmap`): they are only ever read in blocks. With ``rows``,
    some of them can be left out and others used more than once without a copy.

    Args:
        inputs: float32 or float16 (R, ...).
        targets: Class ids, int32 (N,), at least 0; N at least 1.
        rows: Where the inputs of each target are: integers (N,), at least 0 and below R. None stands for
            the first to the last, and R is N.

    Raises:
        ValueError: When the numbers of rows do not fit, there is none, inputs are of another type, or a
            target is negative (the id of a label that training never saw).
    """

    inputs: NDArray[Any]
    targets: NDArray[np.int32]
    rows: NDArray[np.integer[Any]] | None = None

    def __post_init__(self) -> None:
        """Checks rows, targets and types."""
        num_inputs = len(self.inputs) if self.rows is None else len(self.rows)
        if num_inputs != len(self.targets) or not len(self.targets):
            raise ValueError(f"{num_inputs} inputs and {len(self.targets)} targets")
        if self.inputs.dtype not in INPUT_DTYPES:
            raise ValueError(f"inputs must be float32 or float16, not {self.inputs.dtype}")
        if self.targets.min() < 0:
            raise ValueError("targets must be class ids of at least 0; drop rows with unknown labels first")
        if self.rows is not None and not 0 <= self.rows.min() <= self.rows.max() < len(self.inputs):
            raise ValueError(f"rows must be at least 0 and below {len(self.inputs)}")

    def __len__(self) -> int:
        """The number of targets N."""
        return len(self.targets)

    def blocks(self, order: NDArray[np.int64], num_rows: int) -> Iterator[Block]:
        """Copies labelled rows, block by block.

        Args:
            order: Which, int64 (M,), each at least 0 and below N.
            num_rows: Rows of a block; the last one may have fewer.

        Yields:
            Blocks that in their ``order``, one after another, are the rows in the order asked for.
        """
        for start in range(0, len(order), num_rows):
            chosen = order[start : start + num_rows]
            rows = chosen if self.rows is None else self.rows[chosen]
            # A block is read from front to back, as suits a file, and its order put right by numbers alone.
            places = np.argsort(rows, kind="stable")
            used_as = np.empty(len(chosen), np.int32)
            used_as[places] = np.arange(len(chosen))
            yield Block(self.inputs[rows[places]], self.targets[chosen[places]], used_as)


def class_weights(
    kind: Literal["none", "balanced"], targets: NDArray[np.int32], num_classes: int
) -> NDArray[np.float32]:
    """Says what a row of each class counts in the loss.

    Args:
        kind: `TrainingConfig.class_weight`.
        targets: Class ids of the training rows, int32 (N,).
        num_classes: Number of classes C.

    Returns:
        float32 (C,): ones, or those of `balanced_class_weights`.
    """
    return (
        balanced_class_weights(targets, num_classes)
        if kind == "balanced"
        else np.ones(num_classes, np.float32)
    )


def balanced_class_weights(targets: NDArray[np.int32], num_classes: int) -> NDArray[np.float32]:
    """Weighs classes so that each counts the same in the loss, and the mean weight of a row is 1.

    Args:
        targets: Class ids of the training rows, int32 (N,).
        num_classes: Number of classes C.

    Returns:
        float32 (C,): N / (number of classes that occur times rows of the class); 1 for a class without rows.

    Reference:
        ``class_weight="balanced"`` of scikit-learn.
    """
    counts = np.bincount(targets, minlength=num_classes)
    weights = len(targets) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return np.where(counts > 0, weights, 1.0).astype(np.float32)
