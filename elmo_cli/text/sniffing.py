"""Tells how a table is written down, by its name and content, unless the user says so."""

import codecs
import csv
import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from elmo_cli.config import DataConfig
from elmo_cli.errors import DataError
from elmo_cli.text import lines as text_lines
from elmo_cli.text.encodings import checked_encoding, sniff_encoding, without_mark
from elmo_cli.text.formats import DELIMITERS, OBVIOUS_NAMES, Kind, TableFormat, kind_of_name
from elmo_cli.text.header import is_header

logger = logging.getLogger(__name__)

_ARCHIVES = {b"\x1f\x8b": "compressed (gzip)", b"PK\x03\x04": "a zip archive or an Excel workbook"}


def sniff_format(path: str | Path, data: DataConfig, *, expected_columns: Sequence[str] = ()) -> TableFormat:
    """Tells how a file is written down; what the user gave wins over what is found.

    Args:
        path: A regular file.
        data: What the user gave: format, delimiter, encoding, quoting, header.
        expected_columns: Column names that would show that the first row is a header.

    Returns:
        The format. What is unusual about it is logged.

    Raises:
        DataError: For an empty, compressed or unreadable file.
        ConfigError: When there is no encoding of the given name.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(text_lines.BLOCK_BYTES)
            complete = len(head) < text_lines.BLOCK_BYTES
            blocks = iter(lambda: file.read(text_lines.BLOCK_BYTES), b"")
            encoding = data.encoding
            if encoding is None and not head.startswith(b"PAR1"):
                encoding = _sniffed_encoding(str(path), itertools.chain([head], blocks))
    except OSError as error:
        raise unreadable(path, error) from error
    data = replace(data, encoding=encoding)
    return sniff_head(head, data, name=str(path), complete=complete, expected_columns=expected_columns)


def unreadable(path: str | Path, error: OSError) -> DataError:
    """Returns the error to raise when a file cannot be opened or read."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: there is no such file. Check the path.")
    if isinstance(error, IsADirectoryError):
        return DataError(
            f"{path} is a directory. Give the path of one table: CSV, TSV, JSONL, Parquet or text."
        )
    return DataError(f"{path} cannot be read: {error.strerror or error}. Check its permissions.")


def _sniffed_encoding(name: str, blocks: Iterable[bytes]) -> str:
    encoding = sniff_encoding(blocks)
    if encoding not in ("utf-8", "utf-8-sig"):
        logger.info("%s: reading it as %s; another encoding can be given with --encoding", name, encoding)
    return encoding


def sniff_head(
    head: bytes,
    data: DataConfig,
    *,
    name: str,
    complete: bool,
    expected_columns: Sequence[str] = (),
    piped: bool = False,
) -> TableFormat:
    """Tells the format from the first bytes.

    Args:
        head: The first bytes; at least one line, or everything.
        data: What the user gave.
        name: Name of the file, its ending included.
        complete: Whether the head is everything.
        expected_columns: Column names that would show that the first row is a header.
        piped: Whether the head came from a pipe and may be a single line: without one of the expected
            columns in the first line, or a ``{`` at its start, it is taken as plain lines.

    Returns:
        The format.

    Raises:
        DataError: When the head is empty or belongs to an archive.
        ConfigError: When there is no encoding of the given name.
    """
    if not head:
        raise DataError(f"{name} is empty. Give a table with at least one row.")
    for magic, what in _ARCHIVES.items():
        if head.startswith(magic):
            raise DataError(f"{name} is {what}. Unpack it or save it as CSV first.")
    if data.format == "parquet" or (data.format is None and head.startswith(b"PAR1")):
        return TableFormat("parquet", encoding="utf-8")
    encoding = checked_encoding(data.encoding or _sniffed_encoding(name, [head]))
    encoding = without_mark(encoding, head, name)
    sample = _sample_lines(head, encoding, complete)
    delimiter = data.delimiter
    kind = _kind(data, delimiter, name, sample)
    if kind in ("jsonl", "lines"):
        return TableFormat(kind, encoding=encoding, header=False)
    known = [*expected_columns, *(column for column in (data.text_column, data.label_column) if column)]
    found = _sniff_cells(sample, delimiter, kind, data, known, piped=piped)
    if found is None:
        logger.info("%s: reading it as plain text, one text per line", name)
        return TableFormat("lines", encoding=encoding, header=False)
    character, quoting, rows = found
    header = data.header
    if header is None:
        # A number that the user gives says nothing about the names.
        expected = [one for one in expected_columns if one not in (data.text_column, data.label_column)]
        header = is_header(rows, known, expected, two_parts=character == " ", name=name)
    if delimiter is None and character != {"tsv": "\t"}.get(kind or "", ","):
        logger.info("%s: the delimiter is %r", name, character)
    if not quoting and data.quoting is None and character != " ":
        logger.info('%s: " is read as an ordinary character (--quoting if it quotes cells)', name)
    # In a megabyte of rows some cell would be quoted; a pipe's first line tells nothing.
    sure = data.quoting is not None or not quoting or len(head) < text_lines.BLOCK_BYTES
    quotes_seen = sure or any(line.startswith('"') or f'{character}"' in line for line in sample)
    kind = "tsv" if character == "\t" else "csv"
    return TableFormat(kind, character, encoding, quoting, header, quotes_seen)


def _kind(data: DataConfig, delimiter: str | None, name: str, sample: Sequence[str]) -> Kind | None:
    """Tells the kind by option, file name or first character; None when the cells must tell."""
    if data.format is not None:
        return data.format
    if delimiter is not None:
        return "csv"
    if (kind := kind_of_name(name)) is not None:
        return kind
    return "jsonl" if sample and sample[0].lstrip().startswith("{") else None


def _sample_lines(head: bytes, encoding: str, complete: bool) -> list[str]:
    """Returns the whole lines of the head, without blank ones."""
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head)
    lines = list(text_lines.split_lines([text]))
    if not complete and len(lines) > 1:
        lines.pop()
    return [line for line in lines if text_lines.without_end(line)]


def _sniff_cells(
    sample: Sequence[str],
    delimiter: str | None,
    kind: Kind | None,
    data: DataConfig,
    known: Sequence[str],
    *,
    piped: bool,
) -> tuple[str, bool, list[list[str]]] | None:
    """Finds delimiter and quoting by the most even rows; None when plain lines are likelier."""
    if delimiter is None and kind == "tsv" and data.format == "tsv":
        delimiter = "\t"
    # The likeliest first; the sort leaves the others as they are.
    order = [delimiter] if delimiter else sorted(DELIMITERS, key=lambda one: kind == "tsv" and one != "\t")
    best: tuple[float, str, bool, list[list[str]]] = (-1.0, order[0], data.quoting is not False, [])
    for character in order:
        for quoting in (True, False) if data.quoting is None else (data.quoting,):
            if quoting and character == " ":
                continue
            rows, penalty = _parse(sample, character, quoting)
            if quoting and data.quoting is None and _quotes_are_text(sample, character, rows):
                continue
            if kind is None and not _is_table(rows, known, named=piped or character == ","):
                continue
            even = sum(len(row) == len(rows[0]) for row in rows) / len(rows) if rows else 0.0
            score = even - penalty if rows and (len(rows[0]) > 1 or delimiter) else 0.0
            if score > best[0]:
                best = (score, character, quoting, rows)
    if kind is None and best[0] < 0.9:
        return None
    return best[1:]


def _parse(sample: Sequence[str], delimiter: str, quoting: bool) -> tuple[list[list[str]], float]:
    """Returns the rows, and how much less they count for how they came about."""
    lines = _plain_lines(sample)
    if delimiter == " ":
        return [line.split(" ", 1) for line in lines], 0.0
    if not quoting:
        return [line[:-1].split(delimiter) for line in lines], 0.005
    csv.field_size_limit(max(text_lines.MAX_CELL_CHARACTERS, sum(map(len, lines))))
    try:
        return list(csv.reader(lines, delimiter=delimiter, strict=True)), 0.0
    except csv.Error:
        return list(csv.reader(lines, delimiter=delimiter)), 0.01


def _plain_lines(sample: Sequence[str]) -> list[str]:
    return [text_lines.without_end(line).replace("\r", " ").replace("\0", " ") + "\n" for line in sample]


def _quotes_are_text(sample: Sequence[str], delimiter: str, quoted_rows: Sequence[Sequence[str]]) -> bool:
    """Tells whether quotes that span lines belong to the texts: a quotation that ends rows further down.

    Then every line is a row of its own, and those that quoting would join have in some column what other rows
    have in it, as a label. A text that holds a tab is so rare that a TSV needs no such sign.

    Args:
        sample: The lines.
        delimiter: The character between cells.
        quoted_rows: The rows that they are with quoting.
    """
    if len(quoted_rows) >= len(sample):
        return False
    rows, _ = _parse(sample, delimiter, False)
    width = len(rows[0])
    if width < 2 or any(len(row) != width for row in rows):
        return False
    if delimiter == "\t":
        return True
    joined: set[int] = set()
    reader = csv.reader(_plain_lines(sample), delimiter=delimiter)
    before = 0
    for _ in reader:
        if reader.line_num > before + 1:
            joined.update(range(before, reader.line_num))
        before = reader.line_num
    alone = [row for number, row in enumerate(rows) if number not in joined]
    return any(
        {rows[number][position] for number in joined} <= {row[position] for row in alone}
        for position in range(width)
    )


def _is_table(rows: Sequence[Sequence[str]], known: Sequence[str], *, named: bool) -> bool:
    """Tells whether a file of unknown kind is a table: even rows, or a first row with known names."""
    if not rows or len(rows[0]) < 2:
        return False
    names = {cell.strip().lower() for cell in rows[0]}
    if not names.isdisjoint(name.lower() for name in known):
        return True
    if named:
        return all(not names.isdisjoint(OBVIOUS_NAMES[role]) for role in ("text", "label")) and not known
    return len(rows) > 1 and all(len(row) == len(rows[0]) for row in rows)
