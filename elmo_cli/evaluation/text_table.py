"""Tables of plain text whose columns stand in line on a terminal, also with wide characters."""

import unicodedata
from collections.abc import Sequence


def width_of(text: str) -> int:
    """Returns how many terminal cells a text takes: wide characters take two, combining ones none.

    Reference:
        Unicode Standard Annex 11, East Asian Width: classes W and F are wide.
    """
    return sum(_width(character) for character in text)


def shorten(text: str, max_width: int) -> str:
    """Returns a text on one line of at most that many cells; what is cut is marked by an ellipsis."""
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    if width_of(text) <= max_width:
        return text
    kept, room = "", max_width - 1
    for character in text:
        room -= _width(character)
        if room < 0:
            break
        kept += character
    return f"{kept}…"


def table(rows: Sequence[Sequence[str]], *, align: str) -> list[str]:
    """Returns the lines of a table, cells two spaces apart.

    Args:
        rows: Cells, the same number in every row.
        align: ``l`` or ``r`` for each column; the last one stands for all that follow.
    """
    widths = [max(width_of(cell) for cell in column) for column in zip(*rows, strict=True)]
    sides = align.ljust(len(widths), align[-1])
    lines = []
    for row in rows:
        cells = []
        for cell, width, side in zip(row, widths, sides, strict=False):
            space = " " * (width - width_of(cell))
            cells.append(space + cell if side == "r" else cell + space)
        lines.append("  ".join(cells).rstrip())
    return lines


def _width(character: str) -> int:
    """Returns the terminal cells of one character."""
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def decimal(value: float | None) -> str:
    """Returns a measure with four places; ``-`` for one that there is not."""
    return "-" if value is None else f"{value:.4f}"
