"""The columns that predictions add to a table."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_cli.errors import ConfigError
from elmo_cli.text.labels import LabelSet


def added_columns(labels: LabelSet, *, proba: bool, top_k: int, prefix: str) -> list[str]:
    """Returns the names of the columns that `with_predictions` adds, in order."""
    names = [f"{prefix}predicted", f"{prefix}probability"]
    for rank in range(2, top_k + 1):
        names += [f"{prefix}predicted_{rank}", f"{prefix}probability_{rank}"]
    if proba:
        names += [f"{prefix}probability_of_{name}" for name in labels.names]
    return names


def check_added_columns(table: pd.DataFrame, added: list[str]) -> None:
    """Raises ConfigError if the table has a column of one of these names."""
    if clash := [name for name in added if name in table.columns]:
        raise ConfigError(
            f'{table.attrs.get("path", "the table")} has a column "{clash[0]}" already, the name of a column '
            "that is added. Give another beginning of the names, for example --prefix elmo_."
        )


def with_predictions(
    table: pd.DataFrame,
    probabilities: NDArray[np.float32],
    labels: LabelSet,
    *,
    proba: bool = False,
    top_k: int = 1,
    prefix: str = "",
) -> pd.DataFrame:
    """Adds predictions to a table.

    Args:
        table: N rows; column names may come twice.
        probabilities: float32 (N, C).
        labels: Names of the C classes.
        proba: Add a column per class.
        top_k: Classes to add per row, 1 to C.
        prefix: Put in front of the added names.

    Returns:
        A new table of N rows with the same index; ties go to the smaller class id.
    """
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    columns: list[NDArray[np.object_] | NDArray[np.float32]] = []
    for rank in range(top_k):
        ids = ranked[:, rank]
        columns.append(np.array(labels.decode(ids), object))
        columns.append(probabilities[np.arange(len(ids)), ids])
    if proba:
        columns += list(probabilities.T)
    names = added_columns(labels, proba=proba, top_k=top_k, prefix=prefix)
    added = [
        pd.Series(values, index=table.index, name=name) for name, values in zip(names, columns, strict=True)
    ]
    result = pd.concat([table, *added], axis=1)
    result.attrs = dict(table.attrs)
    return result
