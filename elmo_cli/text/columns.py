"""Finding the columns and naming the rows of a table that was read."""

import bisect
import difflib
import logging
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import pandas as pd

from elmo_cli.errors import DataError
from elmo_cli.text.formats import DELIMITERS, OBVIOUS_NAMES, TableFormat

logger = logging.getLogger(__name__)

_SHOWN = 80  # characters of a line in a message


def table_name(df: pd.DataFrame) -> str:
    """Returns the path a table was read from, or ``the table``."""
    return str(df.attrs.get("path", "the table"))


def with_string_names(df: pd.DataFrame) -> pd.DataFrame:
    """Returns the same rows, ``attrs`` included, with column names that are strings; they need not be."""
    named = df.set_axis([str(name) for name in df.columns], axis=1)
    named.attrs = dict(df.attrs)
    return named


def row_number(df: pd.DataFrame, label: Any) -> Any:
    """Returns the number of a row as a spreadsheet shows it: from 1, header and blank lines counted.

    Args:
        df: A table of `read_table` or `stream_table`, or rows taken from one.
        label: The row's label in the index.
    """
    if not isinstance(label, int) and not hasattr(label, "__index__"):
        return label
    blank_lines = df.attrs.get("blank_lines", ())
    return df.attrs.get("first_row", 1) + int(label) + bisect.bisect_right(blank_lines, int(label))


def place(df: pd.DataFrame, label: Any, column: str) -> str:
    """Returns where a cell stands, for the beginning of a message."""
    return f'{table_name(df)}, row {row_number(df, label)}, column "{column}"'


def resolve_column(df: pd.DataFrame, wanted: str | None, role: Literal["text", "label"]) -> str:
    """Finds the column with the texts or the labels.

    Args:
        df: The table.
        wanted: Its name, or its number from 1; None takes a column with an obvious name (and says so), or,
            in a table of two columns, the one beside an obvious one.
        role: What the column holds.

    Returns:
        The column's name, as in ``df.columns``.

    Raises:
        DataError: When there is no such column, or more than one of that name.
    """
    names = [str(name) for name in df.columns]
    if wanted is not None:
        return names[_given(df, names, wanted, role)]
    found = _found(names, role)
    if found is None:
        raise DataError(
            f"{table_name(df)}: which column holds the {role}s? {_listing(df, names)} "
            f"Name it, or give its number, with --{role}-column.{_hint(df, role)}"
        )
    logger.info('%s: taking column %d, "%s", as the %s', table_name(df), found + 1, names[found], role)
    return names[found]


def resolve_columns(df: pd.DataFrame, text: str | None, label: str | None) -> tuple[str, str]:
    """Finds the columns with the texts and the labels, as `resolve_column` does; asks for both at once.

    Args:
        df: The table.
        text: Name or number of the one.
        label: Name or number of the other.

    Returns:
        Their names.

    Raises:
        DataError: When one of them cannot be found.
    """
    names = [str(name) for name in df.columns]
    found = text, label, _found(names, "text"), _found(names, "label")
    if all(one is None for one in found):
        raise DataError(
            f"{table_name(df)}: which columns hold the texts and the labels? {_listing(df, names)} Name "
            "them, or give their numbers, with --text-column and --label-column."
        )
    return resolve_column(df, text, "text"), resolve_column(df, label, "label")


def find_text_column(df: pd.DataFrame, wanted: str | None) -> str | None:
    """Finds the column with the texts in a table that was not part of the training, if there was one.

    Args:
        df: A table, or a piece of one; a table of plain lines or of a single column needs no particular
            column name, unless it is JSONL.
        wanted: The column's name, or its number from 1; None as in `resolve_column`, of JSONL as in
            `obvious_jsonl_column`.

    Returns:
        Its name; None for a piece of JSONL in which no row has it: each row of JSONL brings its own
        columns, and what one row gets must not depend on which others came with it.

    Raises:
        DataError: When there is no such column.
    """
    layout = df.attrs.get("format")
    if isinstance(layout, TableFormat) and layout.kind == "jsonl":
        return obvious_jsonl_column(df) if wanted is None else jsonl_column(df, wanted)
    if df.shape[1] == 1 and wanted not in df.columns:
        name = str(df.columns[0])
        parts = [part.strip() for part in re.split("|".join(map(re.escape, DELIMITERS)), name)]
        if len(parts) == 1 or wanted not in parts:
            return name
        # The names of several columns in one: what stands between cells was mistaken.
    return resolve_column(df, wanted, "text")


def with_column_asked_for(tables: Iterable[pd.DataFrame], wanted: str | None) -> Iterator[pd.DataFrame]:
    """Passes on pieces of a table, unless a column is asked for and they are plain lines.

    Args:
        tables: The pieces, as `stream_table` gives them.
        wanted: The name or number that the user gave; None for none. Lines have one column, ``text``.

    Raises:
        DataError: When lines are all that can be made out.
    """
    for df in tables:
        layout = df.attrs.get("format")
        lines = isinstance(layout, TableFormat) and layout.kind == "lines"
        if lines and wanted not in (None, "text", "1"):
            first = str(df.iloc[0, 0])
            raise DataError(
                f'{table_name(df)}: no column "{wanted}" can be made out; the first line is '
                f"{first if len(first) <= _SHOWN else first[:_SHOWN] + '...'!r}. Correct --text-column, or "
                "give --delimiter or --input-format; leave --text-column out for plain text."
            )
        yield df


def obvious_jsonl_column(df: pd.DataFrame) -> str:
    """Finds the column with the texts of JSONL that comes in pieces, and says so.

    Only a column with an obvious name in the table's first row is taken: other rows may have others, and how
    many come in a piece must not decide.

    Args:
        df: A piece, as `stream_table` gives it.

    Returns:
        The column's name.

    Raises:
        DataError: When the first row has none.
    """
    names = [str(name) for name in df.attrs.get("first_columns", df.columns)]
    found = _obvious(names, "text")
    if found is None:
        listing = _numbered([f'"{name}"' for name in names]) or "none"
        raise DataError(
            f"{table_name(df)}: which column holds the texts? Those of the first row are: {listing}. Name it "
            "with --text-column."
        )
    logger.info('%s: taking column "%s" as the text', table_name(df), names[found])
    return names[found]


def jsonl_column(df: pd.DataFrame, wanted: str) -> str | None:
    """Finds a column in a piece of JSONL, whose rows may each have other ones.

    Args:
        df: The piece, as `stream_table` gives it.
        wanted: The column's name, or its number from 1 among the columns of the table's first row.

    Returns:
        The column's name; None when no row of the piece has it.
    """
    names = [str(name) for name in df.columns]
    first_row: tuple[str, ...] = df.attrs.get("first_columns", ())
    for name in (*names, *first_row):
        if name.strip() == wanted.strip():
            return name if name in names else None
    if wanted.isdecimal() and 1 <= int(wanted) <= len(first_row):
        return first_row[int(wanted) - 1] if first_row[int(wanted) - 1] in names else None
    return None


def _given(df: pd.DataFrame, names: list[str], wanted: str, role: str) -> int:
    """Returns the position of the column that was asked for."""
    positions = [position for position, name in enumerate(names) if name == wanted]
    if not positions:
        positions = [position for position, name in enumerate(names) if name.strip() == wanted.strip()]
    if not positions and wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        positions = [int(wanted) - 1]
    if len(positions) == 1 and names.count(names[positions[0]]) == 1:
        return positions[0]
    if positions:
        raise DataError(
            f"{table_name(df)}, row 1: {names.count(names[positions[0]])} columns are called "
            f'"{names[positions[0]]}". {_listing(df, names)} Give the {role} column a name of its own.'
        )
    close = difflib.get_close_matches(wanted.lower(), [name.lower() for name in names], 1)
    near = f" Did you mean {next(name for name in names if name.lower() == close[0])}?" if close else ""
    raise DataError(
        f'{table_name(df)}: there is no column "{wanted}".{near} {_listing(df, names)} '
        f"Name one, or give its number, with --{role}-column.{_hint(df, role)}"
    )


def _found(names: list[str], role: Literal["text", "label"]) -> int | None:
    """Returns the position of the column that can be taken without asking."""
    found = _obvious(names, role)
    if found is None and len(names) == 2:
        other = _obvious(names, "label" if role == "text" else "text")
        found = None if other is None else 1 - other
    if found is None and role == "text" and len(names) == 1:
        found = 0
    return found


def _obvious(names: list[str], role: Literal["text", "label"]) -> int | None:
    """Returns the position of the only column with the likeliest obvious name."""
    plain = [name.strip().lower() for name in names]
    for name in OBVIOUS_NAMES[role]:
        if plain.count(name) == 1:
            return plain.index(name)
    return None


def _listing(df: pd.DataFrame, names: list[str]) -> str:
    """Returns the columns in a sentence; those of a table without a header by their first cells."""
    layout = df.attrs.get("format")
    if layout is not None and not layout.header and layout.kind in ("csv", "tsv") and len(df):
        cells = [str(cell) for cell in df.iloc[0].tolist()]
        names = [f"({cell[:20]}…)" if len(cell) > 20 else f"({cell})" for cell in cells]
        return "It has no header; its columns begin: " + _numbered(names) + "."
    return "Its columns are: " + _numbered([f'"{name}"' for name in names]) + "."


def _numbered(names: list[str]) -> str:
    shown = [f"{number} {name}" for number, name in enumerate(names[:40], 1)]
    return ", ".join(shown) + (f" and {len(names) - 40} more" if len(names) > 40 else "")


def _hint(df: pd.DataFrame, role: str) -> str:
    """Returns what else may be wrong with a table that was read as plain lines or a single column."""
    layout = df.attrs.get("format")
    if layout is None or layout.kind not in ("lines", "csv", "tsv") or df.shape[1] > 1:
        return ""
    hint = " It was read as a single column; give the character between cells with --delimiter."
    if role == "label":
        hint += " Where each line is a label, a blank and a text, give --delimiter ' '."
    return hint
