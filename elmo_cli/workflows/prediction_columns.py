"""The columns that predictions add to a table."""

import logging
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_cli.errors import ConfigError
from elmo_cli.text.labels import LabelSet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionColumns:
    """Which columns are added: ``predicted`` and ``probability``, and what else is asked for.

    Args:
        proba: Whether to add ``probability_of_LABEL`` for each class.
        top_k: How many classes to add, the likeliest first, as ``predicted_2``, ``probability_2`` …; 1 to C.
        prefix: Put in front of the names.
    """

    proba: bool = False
    top_k: int = 1
    prefix: str = ""

    def check_top_k(self, labels: LabelSet) -> None:
        """Raises ConfigError if there are fewer classes than asked for."""
        if not 1 <= self.top_k <= labels.num_classes:
            raise ConfigError(
                f"--top-k must be between 1 and the number of classes, {labels.num_classes}; "
                f"received {self.top_k}."
            )

    def names(self, labels: LabelSet) -> list[str]:
        """Returns the names of the added columns, in order."""
        names = ["predicted", "probability"]
        for rank in range(2, self.top_k + 1):
            names += [f"predicted_{rank}", f"probability_{rank}"]
        if self.proba:
            names += [f"probability_of_{label}" for label in labels.names]
        return [self.prefix + name for name in names]

    def check_free(self, table: pd.DataFrame, labels: LabelSet) -> None:
        """Raises ConfigError if the table has a column of one of these names."""
        if clash := [name for name in self.names(labels) if name in table.columns]:
            raise ConfigError(
                f'{table.attrs.get("path", "the table")} has a column "{clash[0]}" already, the name of a '
                "column that is added. Give the added ones another beginning, for example --prefix elmo_."
            )

    def free_in(self, table: pd.DataFrame, labels: LabelSet) -> "PredictionColumns":
        """Returns the same columns with a prefix that the table leaves free; says so where it is another."""
        found = self
        while any(name in table.columns for name in found.names(labels)):
            found = replace(found, prefix=f"elmo_{found.prefix}")
        if found is not self:
            logger.info(
                '%s has a column "%s" already; what is predicted is in "%s"',
                table.attrs.get("path", "the table"),
                self.names(labels)[0],
                found.names(labels)[0],
            )
        return found

    def add(self, table: pd.DataFrame, probabilities: NDArray[np.float32], labels: LabelSet) -> pd.DataFrame:
        """Adds predictions to a table.

        Args:
            table: N rows; column names may come twice.
            probabilities: float32 (N, C).
            labels: Names of the C classes.

        Returns:
            A new table of N rows with the same index; ties go to the smaller class id. What the table's
            ``attrs`` say of where it was read is left out.
        """
        ranked = np.argsort(-probabilities, axis=1, kind="stable")
        columns: list[NDArray[np.object_] | NDArray[np.float32]] = []
        for rank in range(self.top_k):
            ids = ranked[:, rank]
            columns.append(np.array([*labels.decode(ids), None], object)[:-1])
            columns.append(probabilities[np.arange(len(ids)), ids])
        if self.proba:
            columns += list(probabilities.T)
        added = [
            pd.Series(values, index=table.index, name=name)
            for name, values in zip(self.names(labels), columns, strict=True)
        ]
        result = pd.concat([table, *added], axis=1)
        result.attrs = {}
        return result
