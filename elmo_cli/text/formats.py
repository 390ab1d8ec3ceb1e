"""How tables are written down."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["csv", "tsv", "jsonl", "parquet", "lines"]

# What usually stands between cells, the likeliest first.
DELIMITERS = (",", "\t", ";", "|")

# Column names from which a column's role is plain, the likeliest first.
_TEXT_NAMES = (
    "text sentence texts sentences review tweet message comment question utterance document content body "
    "post headline title query description"
)
_LABEL_NAMES = "label labels class category target sentiment intent emotion topic tag label_name class_name y"
OBVIOUS_NAMES = {"text": _TEXT_NAMES.split(), "label": _LABEL_NAMES.split()}

_KINDS: dict[str, Kind] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def kind_of_name(path: str | Path) -> Kind | None:
    """Returns the kind of table that the ending of a file name stands for; None for any other ending."""
    return _KINDS.get(Path(path).suffix.lower())


def part_of(path: str | Path) -> Path:
    """Returns where a `TableWriter` keeps the rows that were finished when it could not finish a file."""
    return Path(f"{path}.part")


@dataclass(frozen=True)
class TableFormat:
    """How a table is written down.

    Args:
        kind: ``csv`` and ``tsv`` have delimited rows, ``jsonl`` one JSON object a line, ``lines`` one
            text a line; ``parquet`` is binary.
        delimiter: Character between cells of csv and tsv, else None. A blank ends the first cell only.
        encoding: Text encoding, as Python names it.
        quoting: Whether ``"`` quotes cells.
        header: Whether the first row names the columns.
        quotes_seen: Whether quoting is sure: it was given, or cells in quotes were seen.
    """

    kind: Kind
    delimiter: str | None = None
    encoding: str = "utf-8"
    quoting: bool = True
    header: bool = True
    quotes_seen: bool = True

    def for_output(self, kind: Kind | None = None) -> "TableFormat":
        """Returns the format in which a table that was read in this one is written with columns added.

        Args:
            kind: The kind asked for; None stays as near to this format as more columns allow.
        """
        if kind in (None, self.kind) and self.kind != "lines" and self.delimiter != " ":
            return self
        if kind is None or kind == "lines":
            kind = "tsv"
        return TableFormat(kind, {"csv": ",", "tsv": "\t"}.get(kind))
