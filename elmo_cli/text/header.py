"""Whether the first row of a table names its columns."""

import logging
from collections.abc import Sequence

from elmo_cli.text.formats import OBVIOUS_NAMES

logger = logging.getLogger(__name__)

_MAX_NAME_CHARACTERS = 60  # a longer cell is no column name


def is_header(
    rows: Sequence[Sequence[str]],
    known: Sequence[str],
    expected: Sequence[str],
    *,
    two_parts: bool,
    name: str,
) -> bool:
    """Tells whether the first row names the columns, and says so where nothing is sure.

    Args:
        rows: The first rows.
        known: Names that may be there.
        expected: Those of them that the table of the training had; numbers where it had no header.
        two_parts: Whether a row is a label, a blank and a text.
        name: Of the file, for messages.
    """
    if not rows:
        return True
    cells = [cell.strip() for cell in rows[0]]
    # A label of the first row comes again further down, a column name does not, unless all of them do.
    others = [row for row in rows[1:] if [cell.strip() for cell in row] != cells]
    again = [any(len(row) > i and row[i].strip() == cell for row in others) for i, cell in enumerate(cells)]
    names = {cell.lower() for cell, comes_again in zip(cells, again, strict=True) if not comes_again}
    obvious = {one for names_of_role in OBVIOUS_NAMES.values() for one in names_of_role}
    if two_parts:
        return len(cells) == 2 and names == {cell.lower() for cell in cells} <= obvious
    if not names.isdisjoint([*(one.lower() for one in known if not one.isdigit()), *obvious]):
        return True
    without = bool(expected) and all(one.isdecimal() for one in expected) and names.isdisjoint(expected)
    if without or any(
        cell and (len(cell) > _MAX_NAME_CHARACTERS or _is_number(cell) or comes_again)
        for cell, comes_again in zip(cells, again, strict=True)
    ):
        logger.info("%s: the first row looks like data, not like column names (--header if it is)", name)
        return False
    logger.info("%s: the first row is taken as the names of the columns (--no-header if it is data)", name)
    return True


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
