"""Writing: whole or not at all, and what cannot be written is said."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from text.table_files import cells, read, write

from elmo_cli.config import DataConfig
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.text.formats import TableFormat
from elmo_cli.text.sniffing import sniff_format
from elmo_cli.text.table_writer import TableWriter
from elmo_cli.text.tables import read_table


def test_a_failed_file_leaves_nothing_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "text,label\na,b\n")
    df = read_table(path, DataConfig())
    wider = df.assign(new="c")
    with (
        pytest.raises(DataError, match="new after the first"),
        TableWriter(path, df.attrs["format"]) as writer,
    ):
        [writer.write(piece) for piece in (df, wider)]
    assert path.read_text() == "text,label\na,b\n"
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_place_that_cannot_be_written_is_said_before_the_first_piece(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    layout = TableFormat("csv", ",").for_output(kind)
    with (
        pytest.raises(RunError, match=r"file.b cannot be written: "),
        TableWriter(tmp_path / "file" / "b", layout),
    ):
        pytest.fail("the block was entered")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_full_disk_is_said(kind: str) -> None:
    with (
        pytest.raises(RunError, match="/dev/full cannot be written: No space left"),
        TableWriter("/dev/full", TableFormat("csv", ",").for_output(kind)) as writer,
    ):
        writer.write(pd.DataFrame({"a": ["x"]}))


def test_standard_output_is_flushed_after_each_piece(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    df = read(tmp_path, "a.txt", "one\ntwo\n")
    df["predicted"] = ["x", "y"]
    df["probability"] = pd.Series([0.25, 0.98], dtype="float32")
    with TableWriter(None, df.attrs["format"].for_output()) as writer:
        writer.write(df.iloc[:1])
        assert capfdbinary.readouterr().out == b"text\tpredicted\tprobability\none\tx\t0.25\n"
        writer.write(df.iloc[1:])
        assert capfdbinary.readouterr().out == b"two\ty\t0.98\n"


def test_cells_that_the_format_cannot_hold_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"a\tb\n')
    layout = sniff_format(path, DataConfig(quoting=False))
    with (
        pytest.raises(DataError, match="without quoting cannot hold"),
        TableWriter(tmp_path / "b.tsv", layout) as writer,
    ):
        writer.write(pd.DataFrame({"text": ["a\tb"]}))
    latin = sniff_format(path, DataConfig(encoding="cp1252", quoting=True))
    with (
        pytest.raises(DataError, match="cp1252 cannot hold the character '\u623f'"),
        TableWriter(tmp_path / "b.tsv", latin) as writer,
    ):
        writer.write(pd.DataFrame({"text": ["\u623f"]}))
    double = pd.DataFrame([["a", "b"]], columns=["x", "x"])
    with (
        pytest.raises(DataError, match=r'jsonl cannot hold two columns called "x"'),
        TableWriter(tmp_path / "b.jsonl", latin.for_output("jsonl")) as writer,
    ):
        writer.write(double)
    with (
        pytest.raises(DataError, match=r"Parquet cannot hold the character '\\ud800'\. Write jsonl\."),
        TableWriter(tmp_path / "b.parquet", latin.for_output("parquet")) as writer,
    ):
        writer.write(pd.DataFrame({"text": ["half a pair: \ud800"]}, dtype=object))
    assert sorted(os.listdir(tmp_path)) == ["a.tsv"]


def test_what_cannot_be_written_somewhere_is_refused(tmp_path: Path) -> None:
    layout = sniff_format(write(tmp_path, "a.txt", "one\ntwo\n"), DataConfig())
    with pytest.raises(ConfigError, match=re.escape("cannot be written as lines")):
        TableWriter(tmp_path / "b", layout)
    with pytest.raises(ConfigError, match="standard output"):
        TableWriter(None, layout.for_output("parquet"))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf8", "UTF-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32-be"]
)
def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path, encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    content = f"{mark}text,label\né,x\nb,y\n".encode(encoding)
    df = read(tmp_path, "a.csv", content, encoding=encoding)
    assert list(df.columns) == ["text", "label"]
    assert cells(df) == [["é", "x"], ["b", "y"]]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_standard_output_is_no_bug(monkeypatch):
    with open("/dev/full", "wb", buffering=0) as device, monkeypatch.context() as patch:
        patch.setattr("sys.stdout", SimpleNamespace(buffer=device, flush=device.flush))
        with (
            pytest.raises(RunError, match="standard output cannot be written: No space left"),
            TableWriter(None, TableFormat("csv", ",")) as writer,
        ):
            writer.write(pd.DataFrame({"a": ["x"]}))
