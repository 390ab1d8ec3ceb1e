"""Vectors to Parquet, beside the columns of the table."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from elmo_cli.errors import ConfigError
from elmo_cli.text.formats import TableFormat
from elmo_cli.text.table_writer import TableWriter
from elmo_cli.workflows.vector_file import EmbeddedRows, VectorLayout, Write


@contextlib.contextmanager
def parquet_vectors(target: Path, layout: VectorLayout, prefix: str = "") -> Iterator[Write]:
    """Writes the columns of the table and ``vector``; with the vectors of all tokens also ``tokens``.

    Args:
        target: The file; it appears when the block ends well, and not at all otherwise.
        layout: What each row becomes: lists of P numbers; with several layers lists of such lists; with all
            tokens lists of T lists, T varying, and with several layers a list of these for each.
        prefix: Put in front of the names of added columns.

    Yields:
        What writes rows, a row group each time.

    Raises:
        RunError: When the file cannot be written or the disk is full.
        DataError: When Parquet cannot hold a column of the table.
        ConfigError: When the table has a column of an added name already.
    """
    table_format = TableFormat("parquet")
    with TableWriter(target, table_format, way_out="Write npz or hdf5.") as writer:

        def write(rows: EmbeddedRows) -> None:
            added = {f"{prefix}tokens": _tokens(rows)} if layout.by_token else {}
            added |= {f"{prefix}vector": _lists(rows, layout)}
            if clash := [name for name in added if name in rows.table.columns]:
                raise ConfigError(
                    f'{rows.table.attrs.get("path", "the table")} has a column "{clash[0]}" already, the '
                    "name of a column that is added. Give the added ones another beginning, for example "
                    "--prefix elmo_."
                )
            columns = [
                pd.Series(pd.arrays.ArrowExtensionArray(values), index=rows.table.index, name=name)
                for name, values in added.items()
            ]
            writer.write(pd.concat([rows.table, *columns], axis=1))

        yield write


def _tokens(rows: EmbeddedRows) -> Any:
    """Returns the tokens of each text, list<string>."""
    import pyarrow as pa

    return pa.array([text.split(" ") for text in rows.sentences.texts], pa.list_(pa.string()))


def _lists(rows: EmbeddedRows, layout: VectorLayout) -> Any:
    """Returns the vectors as nested lists, of fixed size but for the tokens."""
    import pyarrow as pa

    *layers, width = layout.unit_shape
    numbers = [np.empty(0, layout.dtype), *(vectors.reshape(-1) for vectors in rows.vectors)]
    lists = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(numbers)), width)
    if layout.by_token:
        lengths = np.repeat(rows.sentences.lengths, layers[0] if layers else 1)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), lists)
    return pa.FixedSizeListArray.from_arrays(lists, layers[0]) if layers else lists
