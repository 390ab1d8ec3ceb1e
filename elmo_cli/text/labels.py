"""Names of classes and their ids."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from elmo_cli.errors import DataError

UNKNOWN = -1


@dataclass(frozen=True)
class LabelSet:
    """The classes of a task; a class id is the place of its name.

    Args:
        names: Names of the C classes, distinct, in the order of their ids.
    """

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuses a name that comes twice."""
        if len(set(self.names)) < len(self.names):
            raise ValueError("label names must be distinct")

    @classmethod
    def fit(cls, values: Iterable[str], *, where: str = "the training table") -> Self:
        """Finds the classes.

        Args:
            values: The label of each row.
            where: What the labels stand in, for messages.

        Returns:
            The distinct labels, sorted: by value when all are whole numbers, else by code point.

        Raises:
            DataError: For fewer than two classes.
        """
        names = sorted(set(values))
        if len(names) < 2:
            found = f'only one class, "{names[0]}"' if names else "no labels"
            raise DataError(
                f"{where} has {found}. A classifier needs at least two classes; check that the label "
                "column is the right one (--label-column)."
            )
        if all(re.fullmatch("-?[0-9]+", name) for name in names):
            names.sort(key=int)
        return cls(tuple(names))

    @property
    def num_classes(self) -> int:
        """Number of classes, C."""
        return len(self.names)

    def encode(self, values: Iterable[str]) -> npt.NDArray[np.int32]:
        """Returns class ids, int32 (N,) in [0, C); -1 for a label that is not in the set."""
        ids = {name: class_id for class_id, name in enumerate(self.names)}
        return np.fromiter((ids.get(value, UNKNOWN) for value in values), dtype=np.int32)

    def decode(self, class_ids: Iterable[int]) -> list[str]:
        """Returns the names of class ids in [0, C); raises ValueError for another id."""
        ids = np.asarray(class_ids, dtype=np.int64)
        if ids.size and (ids.min() < 0 or ids.max() >= self.num_classes):
            raise ValueError(f"class ids must be from 0 to {self.num_classes - 1}")
        return [self.names[class_id] for class_id in ids.tolist()]
