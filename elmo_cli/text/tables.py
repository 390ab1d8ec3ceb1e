"""Reads tables: CSV, TSV, JSONL, Parquet and plain lines, whole or in pieces as they arrive."""

import itertools
import json
import math
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from elmo_cli.config import DataConfig
from elmo_cli.counts import counted
from elmo_cli.errors import DataError
from elmo_cli.text import lines as text_lines
from elmo_cli.text.formats import TableFormat
from elmo_cli.text.pipes import as_they_arrive, read_pieces
from elmo_cli.text.sniffing import sniff_format, sniff_head, unreadable

_Row = tuple[int, Any]  # row number; a list of cells, or an object of JSONL


class NoRowsError(DataError):
    """A table names its columns and has no row.

    Args:
        message: What to say where rows are needed.
        table: The columns, with no rows, for those who can do without; ``attrs`` as in `read_table`.
    """

    def __init__(self, message: str, table: pd.DataFrame) -> None:
        super().__init__(message)
        self.table = table


def read_table(path: str | Path, data: DataConfig, *, expected_columns: Sequence[str] = ()) -> pd.DataFrame:
    """Reads a whole table.

    Args:
        path: The file.
        data: What the user says about it; the rest is told from the file.
        expected_columns: Column names that would show that the first row is a header.

    Returns:
        Rows in order, index 0 … N-1. Cells of csv, tsv and lines are str, exactly as they stand in the file,
        "" when empty; JSONL keeps its types (a missing key is NaN, a null None), Parquet has pandas' Arrow
        types. Column names may be empty or come twice. ``attrs`` holds ``path`` (str), ``first_row`` (number
        of the first data row: 2 below a header), ``format`` (TableFormat), ``blank_lines``: see `row_number`;
        for JSONL also ``first_columns``, the columns of the table's first row.

    Raises:
        DataError: For a file that is missing, unreadable, empty or damaged, with row and way out.
    """
    (table,) = stream_table(path, data, chunk_rows=None, expected_columns=expected_columns)
    return table


def table_of_texts(texts: Sequence[str], name: str) -> pd.DataFrame:
    """Builds a table like those of `read_table` from N texts.

    Args:
        texts: The texts.
        name: What messages call the table.

    Returns:
        N rows with the column ``text``, as if they were the lines of a file.
    """
    table = pd.DataFrame({"text": list(texts)}, dtype=object)
    layout = TableFormat("lines", header=False)
    table.attrs.update(path=name, first_row=1, format=layout, blank_lines=())
    return table


def stream_table(
    source: str | Path | BinaryIO,
    data: DataConfig,
    *,
    chunk_rows: int | None,
    expected_columns: Sequence[str] = (),
) -> Iterator[pd.DataFrame]:
    """Reads a table in pieces, in memory that does not grow with the file.

    Args:
        source: A path, or an open binary stream such as ``sys.stdin.buffer``. A pipe gives rows as they
            arrive: at least one, at most ``chunk_rows``, without waiting for more than one.
        data: What the user says about the table. A pipe that is read in pieces is JSONL when its first
            line begins with ``{``, a table when that holds one of ``expected_columns``, else plain lines.
        chunk_rows: Most rows of a piece; None for all rows in one, of a pipe, too.
        expected_columns: Column names that would show that the first row is a header.

    Yields:
        Tables like those of `read_table`, at least one; each has an index from 0 and its own ``first_row``.

    Raises:
        DataError: As `read_table`, also when there is no row; NoRowsError where the columns are known.
    """
    if not isinstance(source, (str, Path)):
        yield from _stream_pipe(source, "standard input", data, chunk_rows, expected_columns)
        return
    try:
        mode = os.stat(source).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            with open(source, "rb", buffering=0) as stream:
                yield from _stream_pipe(stream, str(source), data, chunk_rows, expected_columns)
            return
        layout = sniff_format(source, data, expected_columns=expected_columns)
        if layout.kind == "parquet":
            yield from _stream_parquet(str(source), layout, chunk_rows)
            return
        with open(source, "rb") as file:
            blocks = iter(lambda: file.read(text_lines.BLOCK_BYTES), b"")
            columns, rows = _rows(blocks, layout, str(source))
            yield from _frames(_in_chunks(rows, chunk_rows), columns, layout, str(source))
    except OSError as error:
        raise unreadable(source, error) from error


def _stream_pipe(
    stream: BinaryIO, name: str, data: DataConfig, chunk_rows: int | None, expected_columns: Sequence[str]
) -> Iterator[pd.DataFrame]:
    pieces = read_pieces(stream)
    head = b""
    complete = True
    for piece in pieces:
        head += piece
        # Rows that are wanted as they arrive cannot wait for as much as tells more about them.
        if len(head) >= text_lines.BLOCK_BYTES if chunk_rows is None else b"\n" in head:
            complete = False
            break
    piped = chunk_rows is not None
    layout = sniff_head(
        head, data, name=name, complete=complete, expected_columns=expected_columns, piped=piped
    )
    if layout.kind == "parquet":
        raise DataError(f"{name}: Parquet cannot be read from a pipe. Give the path of the file.")
    columns, rows = _rows(itertools.chain([head], pieces), layout, name)
    chunks = _in_chunks(rows, None) if chunk_rows is None else as_they_arrive(rows, chunk_rows)
    yield from _frames(chunks, columns, layout, name)


def _rows(blocks: Iterable[bytes], layout: TableFormat, name: str) -> tuple[list[str] | None, Iterator[_Row]]:
    """Returns column names, None for JSONL, and the numbered rows."""
    lines = text_lines.split_lines(text_lines.decode(blocks, layout.encoding))
    if layout.kind == "jsonl":
        return None, _objects(text_lines.numbered(lines, name), name)
    if layout.kind == "lines":
        return ["text"], ((number, [line]) for number, line in text_lines.numbered(lines, name))
    delimiter = layout.delimiter or ","
    rows = text_lines.rows(
        lines, delimiter=delimiter, quoting=layout.quoting, quotes_seen=layout.quotes_seen, name=name
    )
    first = next(rows, None)
    if first is None:
        raise DataError(f"{name} has no rows. Give a table with at least one row.")
    if layout.header:
        columns = first[1]
        if len(columns) == 1:
            rows = _with_blanks(rows, first[0] + 1)
    else:
        rows = itertools.chain([first], rows)
        columns = ["label", "text"] if delimiter == " " else [str(n + 1) for n in range(len(first[1]))]
    return columns, _even(rows, columns, layout, name)


def _with_blanks(rows: Iterable[tuple[int, list[str]]], expected: int) -> Iterator[tuple[int, list[str]]]:
    """Gives back blank lines between rows: in a table of one column they are empty cells."""
    for number, cells in rows:
        for blank in range(expected, number):
            yield blank, [""]
        yield number, cells
        expected = number + 1


def _even(
    rows: Iterable[tuple[int, list[str]]], columns: list[str], layout: TableFormat, name: str
) -> Iterator[_Row]:
    """Passes rows on and refuses the first one that has more or fewer cells than there are columns."""
    for number, cells in rows:
        if len(cells) != len(columns):
            if layout.delimiter == " ":
                way_out = "Each row must be a label, a blank and a text; correct the row."
            elif layout.quoting:
                way_out = (
                    f'Put cells that hold {layout.delimiter!r} or line breaks in quotes ("); or give '
                    '--delimiter, or --no-quoting if " has no special meaning in this file.'
                )
            else:
                way_out = 'Correct the row; or give --delimiter, or --quoting if cells stand in quotes (").'
            raise DataError(
                f"{name}, row {number}: expected {counted(len(columns), 'cell')} (the columns of the "
                f"first row), found {len(cells)}. {way_out}"
            )
        yield number, cells


def _objects(lines: Iterable[tuple[int, str]], name: str) -> Iterator[_Row]:
    """Reads a JSON object from each line that is not blank."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            raise DataError(
                f"{name}, row {number}: this is not JSON ({error}). JSONL has one JSON object per line; for "
                "another format give --format."
            ) from error
        if not isinstance(value, dict):
            raise DataError(
                f'{name}, row {number}: expected a JSON object such as {{"text": …}}, received '
                f"{type(value).__name__}. JSONL has one object per line; for another format give --format."
            )
        yield number, value


def _in_chunks(rows: Iterator[_Row], chunk_rows: int | None) -> Iterator[list[_Row]]:
    while chunk := list(itertools.islice(rows, chunk_rows)):
        yield chunk


def _frames(
    chunks: Iterable[list[_Row]], columns: list[str] | None, layout: TableFormat, name: str
) -> Iterator[pd.DataFrame]:
    """Builds the tables; object columns hold the very strings that were read."""
    first_columns: tuple[str, ...] | None = None
    empty = True
    for chunk in chunks:
        empty = False
        if columns is None and first_columns is None:
            first_columns = tuple(chunk[0][1])
        if columns is None:
            names = dict.fromkeys(key for _, row in chunk for key in row)
            df = pd.DataFrame(
                {name: [row.get(name, math.nan) for _, row in chunk] for name in names},
                index=range(len(chunk)),
                dtype=object,
            )
        else:
            cells = zip(*(row for _, row in chunk), strict=True)
            df = pd.DataFrame({position: list(column) for position, column in enumerate(cells)}, dtype=object)
            df.columns = pd.Index(columns, dtype=object)
        first, last = chunk[0][0], chunk[-1][0]
        blank_lines: list[int] = []
        if last - first + 1 != len(chunk):
            for position, (number, _) in enumerate(chunk):
                blank_lines += [position] * (number - first - position - len(blank_lines))
        df.attrs.update(path=name, first_row=first, format=layout, blank_lines=tuple(blank_lines))
        if columns is None:
            df.attrs["first_columns"] = first_columns
        yield df
    if empty:
        found = "only a header" if layout.header else "no rows"
        message = f"{name} has {found}. Give a table with at least one row of data."
        if columns is None:
            raise DataError(message)
        df = pd.DataFrame([], columns=pd.Index(columns, dtype=object), dtype=object)
        df.attrs.update(path=name, first_row=1, format=layout, blank_lines=())
        raise NoRowsError(message, df)


def _stream_parquet(path: str, layout: TableFormat, chunk_rows: int | None) -> Iterator[pd.DataFrame]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            num_rows = file.metadata.num_rows
            if num_rows == 0:
                df = file.read().to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
                df.attrs.update(path=path, first_row=1, format=layout, blank_lines=())
                raise NoRowsError(f"{path} has no rows. Give a table with at least one row of data.", df)
            first_row = 1
            for batch in file.iter_batches(chunk_rows or num_rows) if chunk_rows else [file.read()]:
                df = batch.to_pandas(types_mapper=pd.ArrowDtype, ignore_metadata=True)
                df.attrs.update(path=path, first_row=first_row, format=layout, blank_lines=())
                first_row += len(df)
                yield df
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is not a whole Parquet file: {error}. Write it again.") from error
