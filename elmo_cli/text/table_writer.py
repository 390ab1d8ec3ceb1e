"""Writes tables: CSV, TSV, JSONL and Parquet, to a file that is whole or absent, or to standard output."""

import codecs
import contextlib
import csv
import datetime
import json
import logging
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
import pandas as pd

from elmo_cli.counts import counted
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.files import atomic_write
from elmo_cli.text.encodings import is_encodable
from elmo_cli.text.formats import TableFormat, part_of

logger = logging.getLogger(__name__)


class TableWriter:
    """Writes pieces of a table one after another; use it as a context manager.

    A file appears at its place when the block ends well, and not at all when it fails. Standard output is
    flushed after each piece.

    Args:
        target: Path of the file, or None for standard output.
        layout: How to write; ``lines`` and the blank as delimiter cannot hold several columns, so take
            ``TableFormat.for_output``.
        keep_part: Whether the pieces that were written stay as ``TARGET.part`` when the block fails, which
            is said; not those of Parquet.
        way_out: What to do where the format cannot hold the table; by default to write another one.
        errors: What becomes of characters that the encoding cannot hold, as for `str.encode`.

    Raises:
        ConfigError: When the format cannot be written there.
    """

    def __init__(
        self,
        target: str | Path | None,
        layout: TableFormat,
        *,
        keep_part: bool = False,
        way_out: str | None = None,
        errors: str = "strict",
    ) -> None:
        if layout != layout.for_output() or layout.kind == "lines":
            raise ConfigError(
                f"A table with several columns cannot be written as {layout.kind}. Choose csv or tsv."
            )
        if target is None and layout.kind == "parquet":
            raise ConfigError("Parquet cannot be written to standard output. Give a file with -o.")
        self.target = target
        self.layout = layout
        self.keep_part = keep_part
        self.way_out = way_out
        self.columns: list[str] | None = None
        self._whole = (0, 0)  # rows and bytes of the pieces that were written
        self._stack = contextlib.ExitStack()
        self._stream: IO[bytes] | None = None
        self._parquet: Any = None
        self._num_bytes = 0  # of the last piece
        self._encoder = codecs.getincrementalencoder(layout.encoding)(errors)

    def __enter__(self) -> Self:
        """Opens the file beside its place."""
        if self.target is None:
            sys.stdout.flush()
            self._stream = sys.stdout.buffer
            return self
        self._stream = self._stack.enter_context(atomic_write(self.target, "wb"))
        self._stack.callback(self._close_parquet)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Moves the file into its place, or removes it after an error."""
        if kind is not None and self.keep_part:
            self._keep_part()
        self._stack.__exit__(kind, error, traceback)

    def write(self, df: pd.DataFrame) -> None:
        """Writes the rows of a table.

        Args:
            df: The first one decides the columns; a later one may lack some (their cells stay empty).
                Cells of csv and tsv are written as they are when str, as "" when missing, else as Python
                shows them.

        Raises:
            DataError: For a cell that the format or the encoding cannot hold, or a new column.
            RunError: When it cannot be written, for example to a full disk.
        """
        columns = [str(name) for name in df.columns]
        first = self.columns is None
        if self.columns is None:
            self.columns = columns
            if self.layout.kind in ("jsonl", "parquet") and len(set(columns)) < len(columns):
                twice = next(name for name in columns if columns.count(name) > 1)
                raise DataError(
                    f'{self._name}: {self.layout.kind} cannot hold two columns called "{twice}". '
                    + (self.way_out or "Write csv or tsv.")
                )
        elif columns != self.columns and self.layout.kind != "jsonl":
            if new := sorted(set(columns) - set(self.columns)):
                raise DataError(
                    f"{self._name}: column {new[0]} is new after the first rows. "
                    + (self.way_out or "Write jsonl.")
                )
            df = df.reindex(columns=self.columns)
        if self.layout.kind == "parquet":
            self._write_parquet(df)
            return
        if self.layout.kind == "jsonl":
            self._write_text(_json_lines(df))
        else:
            self._write_text(self._delimited(df, header=first and self.layout.header))
        if self.keep_part and self._stream is not None and self.target is not None:
            self._whole = self._whole[0] + len(df), self._whole[1] + self._num_bytes

    @property
    def _name(self) -> str:
        return "standard output" if self.target is None else str(self.target)

    def _write_text(self, text: str) -> None:
        if self._stream is None:
            raise ValueError("TableWriter is used outside of its with block")
        try:
            content = self._encoder.encode(text)
        except UnicodeEncodeError as error:
            raise DataError(
                f"{self._name}: {self.layout.encoding} cannot hold the character "
                f"{error.object[error.start]!r}. Write another format with --format, in UTF-8."
            ) from error
        try:
            self._stream.write(content)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            if self.target is None:
                raise RunError(f"standard output cannot be written: {error.strerror}.") from error
            raise
        self._num_bytes = len(content)

    def _keep_part(self) -> None:
        """Moves the pieces that were written to where they stay after a failure."""
        num_rows, num_bytes = self._whole
        if self._stream is None or self.target is None or not num_rows or isinstance(self._stream.name, int):
            return
        beside, part = Path(self._stream.name), part_of(self.target)
        if not beside.is_file():  # a device
            return
        with contextlib.suppress(OSError):  # the disk may be full
            self._stream.close()
        if part.is_file() and part.stat().st_size > num_bytes:
            logger.warning(
                "%s is not finished; %s, of an earlier try, holds more and stays", self.target, part
            )
            return
        try:
            # A piece of which only a beginning was written is cut off.
            os.truncate(beside, num_bytes)
            os.replace(beside, part)
        except OSError as error:
            finished = counted(num_rows, "finished row")
            logger.warning("%s could not be kept in %s: %s", finished, part, error.strerror)
            return
        first = "the first row is" if num_rows == 1 else f"the first {num_rows} rows are"
        logger.warning("%s is not finished; %s in %s", self.target, first, part)

    def _delimited(self, df: pd.DataFrame, *, header: bool) -> str:
        rows = zip(*(_cells(df.iloc[:, position]) for position in range(df.shape[1])), strict=True)
        delimiter = self.layout.delimiter or ","
        output = _Rows()
        if self.layout.quoting:
            # With this line end the csv module quotes lone CRs too; _Rows turns it into a line feed.
            writer = csv.writer(output, delimiter=delimiter, lineterminator="\r\n")
            if header:
                writer.writerow(self.columns or [])
            writer.writerows(rows)
            return "".join(output.rows)
        for cells in ([self.columns or []] if header else []) + list(map(list, rows)):
            if any(delimiter in cell or "\n" in cell for cell in cells) or cells[-1].endswith("\r"):
                raise DataError(
                    f"{self._name}: a cell holds {delimiter!r} or a line break, which this table without "
                    "quoting cannot hold. Write another format with --format."
                )
            output.write(delimiter.join(cells) + "\r\n")
        return "".join(output.rows)

    def _write_parquet(self, df: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        df = df.copy(deep=False)
        df.attrs = {}  # where it was read is no part of the table
        try:
            schema = None if self._parquet is None else self._parquet.schema
            table = pa.Table.from_pandas(df, schema=schema, preserve_index=False).replace_schema_metadata(
                None
            )
            if self._parquet is None:
                fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in table.schema]
                table = table.cast(pa.schema(fields))
                self._parquet = pq.ParquetWriter(self._stream, table.schema)
        except UnicodeEncodeError as error:
            raise DataError(
                f"{self._name}: Parquet cannot hold the character {error.object[error.start]!r}. "
                + (self.way_out or "Write jsonl.")
            ) from error
        except (pa.ArrowException, TypeError) as error:
            raise DataError(
                f"{self._name}: a column mixes types, which Parquet cannot hold ({error}). "
                + (self.way_out or "Write jsonl.")
            ) from error
        self._parquet.write_table(table)

    def _close_parquet(self) -> None:
        if self._parquet is not None:
            self._parquet.close()


class _Rows:
    """What the csv module writes to: keeps rows with a line feed at their end."""

    def __init__(self) -> None:
        self.rows: list[str] = []

    def write(self, row: str) -> None:
        self.rows.append(row.removesuffix("\r\n") + "\n")


def _values(column: "pd.Series[Any]") -> list[Any]:
    """Returns plain Python values; float32 as the shortest decimal number that it stands for."""
    if column.dtype == np.float32:
        return [float(str(value)) for value in column.to_numpy()]
    if isinstance(column.dtype, pd.ArrowDtype):
        values: list[Any] = column.array.__arrow_array__().to_pylist()  # type: ignore[attr-defined]
        return values
    return column.tolist()


def _cells(column: "pd.Series[Any]") -> list[str]:
    return [value if isinstance(value, str) else _cell(value) for value in _values(column)]


def _cell(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return "" if value is None or pd.isna(value) else str(value)


def _json_lines(df: pd.DataFrame) -> str:
    """Writes one object per row; NaN stands for a key that is not there."""
    columns = [_values(df.iloc[:, position]) for position in range(df.shape[1])]
    names = [str(name) for name in df.columns]
    lines = []
    for row in zip(*columns, strict=True):
        cells = {name: value for name, value in zip(names, row, strict=True) if not _is_nan(value)}
        line = json.dumps(cells, ensure_ascii=False, default=_plain)
        # Half a surrogate pair can stand in JSON only as an escape.
        lines.append(line if is_encodable(line) else json.dumps(cells, default=_plain))
    return "".join(line + "\n" for line in lines)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _plain(value: Any) -> Any:
    """Turns what JSON does not know into what it knows."""
    if value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
