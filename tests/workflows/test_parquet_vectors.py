"""Parquet, read back with PyArrow alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from workflows.vector_rows import SENTENCES, layout_of, rows_of

from elmo_cli.errors import ConfigError, DataError
from elmo_cli.workflows.parquet_vectors import parquet_vectors

NUMBER = {"float32": pa.float32(), "float16": pa.float16()}


@pytest.mark.parametrize("shape", [(3,), (2, 3), (None, 3), (2, None, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_vectors_stand_beside_the_columns(tmp_path: Path, shape: tuple[int | None, ...], dtype: str) -> None:
    layout = layout_of(shape, dtype)
    with parquet_vectors(tmp_path / "a.parquet", layout) as write:
        write(rows_of(layout, SENTENCES[:2]))
        write(rows_of(layout, SENTENCES[2:], first=2))
    table = pq.read_table(tmp_path / "a.parquet")
    expected = rows_of(layout)
    kind = NUMBER[dtype]
    for size in reversed(shape):
        kind = pa.list_(kind) if size is None else pa.list_(kind, size)
    assert table.schema.field("vector").type == kind
    assert table.column("id").to_pylist() == [0, 1, 2, 3, 4]
    assert table.column("text").to_pylist() == list(SENTENCES)
    found = table.column("vector").to_pylist()
    assert found == [vectors.tolist() for vectors in expected.vectors]
    if layout.by_token:
        assert table.column_names == ["id", "text", "tokens", "vector"]
        assert table.column("tokens").to_pylist() == [text.split(" ") for text in SENTENCES]
    else:
        assert table.column_names == ["id", "text", "vector"]
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 2


@pytest.mark.parametrize("shape", [(2, 3), (None, 3)])
def test_no_rows_keep_the_columns(tmp_path: Path, shape: tuple[int | None, ...]) -> None:
    layout = layout_of(shape)
    with parquet_vectors(tmp_path / "a.parquet", layout) as write:
        write(rows_of(layout, []))
    table = pq.read_table(tmp_path / "a.parquet")
    assert (table.num_rows, table.column_names[:2], table.column_names[-1]) == (0, ["id", "text"], "vector")


def test_any_index_will_do(tmp_path: Path) -> None:
    layout = layout_of((3,))
    rows = rows_of(layout)
    with parquet_vectors(tmp_path / "a.parquet", layout) as write:
        write(replace(rows, table=rows.table.set_index(np.array([3, 3, 1, 0, 9]))))
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["id", "text", "vector"]
    assert table.column("vector").to_pylist() == rows.vectors.tolist()


@pytest.mark.parametrize("taken", ["vector", "tokens"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, taken: str) -> None:
    layout = layout_of((None, 3))
    rows = rows_of(layout)
    rows = replace(rows, table=rows.table.rename(columns={"id": taken}))
    with (
        pytest.raises(ConfigError, match=f'has a column "{taken}" already.*--prefix'),
        parquet_vectors(tmp_path / "a.parquet", layout) as write,
    ):
        write(rows)
    assert list(tmp_path.iterdir()) == []
    with parquet_vectors(tmp_path / "a.parquet", layout, prefix="elmo_") as write:
        write(rows)
    names = pq.read_schema(tmp_path / "a.parquet").names
    assert names == [taken, "text", "elmo_tokens", "elmo_vector"]


def test_what_parquet_cannot_hold_is_said_with_another_way(tmp_path: Path) -> None:
    layout = layout_of((3,))
    rows = rows_of(layout)
    mixed = rows.table.assign(id=np.array([1, "x", 2, 3, None], object))
    with (
        pytest.raises(DataError, match=r"mixes types.*Write npz or hdf5\."),
        parquet_vectors(tmp_path / "a.parquet", layout) as write,
    ):
        write(replace(rows, table=mixed))
    assert list(tmp_path.iterdir()) == []
