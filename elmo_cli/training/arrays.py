"""What a model is trained on: inputs and targets, row by row, in memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LabelledArrays:
    """Inputs and the class of each.

    Args:
        inputs: float32 (N, ...), N at least 1.
        targets: Class ids, int32 (N,), at least 0.

    Raises:
        ValueError: When the two do not have the same number of rows, there is none, or a target is
            negative (the id of a label that training never saw).
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Checks rows and targets."""
        if len(self.inputs) != len(self.targets) or not len(self.targets):
            raise ValueError(f"{len(self.inputs)} inputs and {len(self.targets)} targets")
        if self.targets.min() < 0:
            raise ValueError("targets must be class ids of at least 0; drop rows with unknown labels first")


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
