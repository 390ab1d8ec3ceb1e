"""Texts and labels out of the cells of a table."""

import logging
from typing import Any

import numpy as np
import pandas as pd

from elmo_cli.config import DataConfig
from elmo_cli.errors import DataError
from elmo_cli.text.columns import place, table_name
from elmo_cli.text.encodings import is_encodable

logger = logging.getLogger(__name__)


def texts_of(df: pd.DataFrame, column: str) -> list[str]:
    """Returns the texts of a column, ``""`` for a missing one; raises DataError for a list or an object."""
    return _strings(df, column, "text")


def labels_of(df: pd.DataFrame, column: str) -> list[str]:
    """Returns the labels of a column, without white space around them.

    Numbers become str as Python shows them.

    Raises:
        DataError: For a label that is missing or only white space, a list or an object, or that no file in
            UTF-8 can hold.
    """
    labels = [label.strip() for label in _strings(df, column, "label")]
    if "" in labels:
        where = place(df, df.index[labels.index("")], column)
        raise DataError(
            f"{where}: the label is missing. Every row needs one; drop such rows with --drop-unlabelled."
        )
    if broken := {label for label in set(labels) if not is_encodable(label)}:
        number, label = next((number, label) for number, label in enumerate(labels) if label in broken)
        raise DataError(
            f"{place(df, df.index[number], column)}: the label {label!r} holds half a character, which UTF-8 "
            "does not know. Correct it."
        )
    return labels


def usable_rows(
    df: pd.DataFrame, *, text_column: str | None, label_column: str | None, data: DataConfig
) -> pd.DataFrame:
    """Drops rows without label or text where the user asked for it, and refuses them otherwise.

    Args:
        df: The table.
        text_column: Its texts are checked; None allows empty ones, as prediction does.
        label_column: Its labels are checked; None for a table without labels.
        data: Says whether to drop (``drop_unlabelled``, ``drop_empty``).

    Returns:
        The rows to use, index and ``attrs`` kept, so that messages name the right rows.

    Raises:
        DataError: For the first row that cannot be used, or when none is left.
    """
    kept = np.ones(len(df), dtype=bool)
    checks = (
        (label_column, "label", data.drop_unlabelled, "the label is missing", "--drop-unlabelled"),
        (text_column, "text", data.drop_empty, "the text is empty", "--drop-empty"),
    )
    for column, role, drop, problem, option in checks:
        if column is None:
            continue
        empty = np.array([not cell.strip() for cell in _strings(df, column, role)], dtype=bool) & kept
        if not empty.any():
            continue
        where = place(df, df.index[int(np.argmax(empty))], column)
        if not drop:
            more = f", here and in {empty.sum() - 1} more" if empty.sum() > 1 else ""
            raise DataError(
                f"{where}: {problem}{more}. Every row needs a {role}; drop such rows with {option}."
            )
        logger.info("%s: rows left out: %d, because %s", table_name(df), int(empty.sum()), problem)
        kept &= ~empty
    if not kept.any():
        raise DataError(f"{table_name(df)}: no row is left after dropping those without text or label.")
    return df if kept.all() else df[kept]


def _strings(df: pd.DataFrame, column: str, role: str) -> list[str]:
    values = df[column].tolist()
    return [
        value if isinstance(value, str) else _string(df, column, role, i) for i, value in enumerate(values)
    ]


def _string(df: pd.DataFrame, column: str, role: str, position: int) -> str:
    value: Any = df[column].iloc[position]
    if isinstance(value, list | dict | tuple | bytes | np.ndarray):
        raise DataError(
            f"{place(df, df.index[position], column)}: expected a {role}, received {type(value).__name__}. "
            f"Choose another column with --{role}-column."
        )
    return "" if value is None or pd.isna(value) else str(value)
