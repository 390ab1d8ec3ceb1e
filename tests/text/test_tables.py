"""Reading: what is told from a file, what is kept of it, and what is said when it cannot be used."""

import io
import json
import logging
import os
import re
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from elmo_cli.config import DataConfig
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.text import lines as text_lines
from elmo_cli.text.columns import resolve_column, row_number
from elmo_cli.text.formats import TableFormat
from elmo_cli.text.sniffing import sniff_format
from elmo_cli.text.table_writer import TableWriter
from elmo_cli.text.tables import NoRowsError, read_table, stream_table


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, name: str, content: str | bytes, **options: Any) -> pd.DataFrame:
    return read_table(write(folder, name, content), DataConfig(**options))


def cells(df: pd.DataFrame) -> list[list[Any]]:
    return [list(row) for row in df.itertuples(index=False, name=None)]


# What is told from the file.


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
def test_the_delimiter_is_told(tmp_path: Path, delimiter: str, name: str) -> None:
    rows = [["text", "label"], ["so it goes", "sad"], ["what a day", "glad"]]
    df = read(tmp_path, name, "\n".join(map(delimiter.join, rows)) + "\n")
    assert list(df.columns) == rows[0]
    assert cells(df) == rows[1:]


def test_commas_in_texts_do_not_hide_the_real_delimiter(tmp_path: Path) -> None:
    df = read(tmp_path, "a.csv", "text;label\na, b;x\nc;y\n")
    assert cells(df) == [["a, b", "x"], ["c", "y"]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_encoding_is_told(tmp_path: Path, encoding: str) -> None:
    df = read(tmp_path, "a.csv", "text,label\ncaf\u00e9 \u2026,1\n".encode(encoding))
    assert list(df.columns) == ["text", "label"]
    assert cells(df) == [["caf\u00e9 \u2026", "1"]]


def test_utf16_without_a_mark_is_read_when_the_encoding_is_given(tmp_path: Path) -> None:
    for encoding, given in [("utf-16-le", "utf-16-le"), ("utf-16-le", "utf-16"), ("utf-32-be", "utf-32")]:
        df = read(tmp_path, "a.csv", "text,label\nab,1\n".encode(encoding), encoding=given)
        assert cells(df) == [["ab", "1"]]


def test_utf8_is_not_read_as_utf16(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.csv: it is not utf-16: .* --encoding utf-8"):
        read(tmp_path, "a.csv", "text,label\nab,1\n", encoding="utf-16")


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("i feel low,sad\ni feel up,glad\ni am blue,sad\n", ["1", "2"]),
        ("0,so bad\n1,so good\n", ["1", "2"]),
        ("v1,v2,,,\nham,hello,,,\nspam,win,,,\n", ["v1", "v2", "", "", ""]),
        ("text,label\ntext,label\n", ["text", "label"]),
    ],
)
def test_the_header_is_told(tmp_path: Path, content: str, columns: list[str]) -> None:
    df = read(tmp_path, "a.csv", content)
    assert list(df.columns) == columns
    assert df.attrs["first_row"] == (1 if columns == ["1", "2"] else 2)


QUOTATION = 'he said so\t0\n"I went home\t0\nand slept."\t1\nit rained\t1\n'


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        # Every line is a row: a quotation goes from one to another.
        ("a.tsv", QUOTATION, [line.split("\t") for line in QUOTATION.splitlines()]),
        (
            "a.csv",
            'label,text\n0,he said so\n0,"I went home\n1,and slept."\n1,it rained\n',
            [["0", "he said so"], ["0", '"I went home'], ["1", 'and slept."'], ["1", "it rained"]],
        ),
        # A cell of two lines, either of which has as many commas as a row.
        (
            "a.csv",
            'label,text\n0,he said so\n1,"I went home\nand slept, too."\n1,it rained\n',
            [["0", "he said so"], ["1", "I went home\nand slept, too."], ["1", "it rained"]],
        ),
    ],
)
def test_a_quotation_over_several_rows_does_not_join_them(
    tmp_path: Path, name: str, content: str, rows: list[list[str]]
) -> None:
    assert cells(read(tmp_path, name, content)) == rows


def test_a_quote_after_a_megabyte_without_any_joins_no_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_lines, "BLOCK_BYTES", 200)
    content = "text,label\n" + "it rained,sky\n" * 20 + '"I went home,sky\nand slept.",sky\n'
    with pytest.raises(DataError, match=r"row 22: a quote .* closes 1 line further down, .* --no-quoting"):
        read(tmp_path, "a.csv", content)
    assert len(read(tmp_path, "a.csv", content, quoting=True)) == 21
    assert len(read(tmp_path, "a.csv", content, quoting=False)) == 22


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("y,I want this\nn,no thanks\ny,yes please\n", ["1", "2"]),
        ("question,how are you?\nstatement,I am well\nquestion,why?\n", ["1", "2"]),
        ("text,label\nit rained,sky\ntext,label\nboil it,kitchen\n", ["text", "label"]),
    ],
)
def test_a_label_with_the_name_of_a_column_is_no_header(
    tmp_path: Path, content: str, columns: list[str]
) -> None:
    assert list(read(tmp_path, "a.csv", content).columns) == columns


def test_a_table_beside_one_without_a_header_has_none_either(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "pos,I loved it\nneg,never again\n")
    assert list(read_table(path, DataConfig(), expected_columns=("1", "2")).columns) == ["1", "2"]
    asked = DataConfig(text_column="2")
    assert list(read_table(path, asked, expected_columns=("2",)).columns) == ["pos", "I loved it"]


def test_a_first_row_that_may_be_data_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    read(tmp_path, "a.csv", "what a view,sky\nboil it,kitchen\n")
    assert "the first row is taken as the names of the columns (--no-header if it is data)" in caplog.text


def test_what_is_given_wins(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'text,label\n"a";x,b\n')
    layout = sniff_format(path, DataConfig(delimiter=";", quoting=False, header=False, encoding="latin-1"))
    assert (layout.delimiter, layout.quoting, layout.header, layout.encoding) == (
        ";",
        False,
        False,
        "latin-1",
    )
    assert read_table(path, DataConfig(format="lines")).columns.tolist() == ["text"]


def test_what_is_unusual_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        read(tmp_path, "a.csv", "caf\u00e9;1\nth\u00e9;0\nlait;1\n".encode("cp1252"))
    assert "cp1252" in caplog.text
    assert "delimiter is ';'" in caplog.text
    assert "looks like data" in caplog.text


def test_plain_text_is_read_line_by_line(tmp_path: Path) -> None:
    df = read(tmp_path, "a.txt", "Hello, world.\n\nIt is; it | was.\r\nlast")
    assert cells(df) == [["Hello, world."], [""], ["It is; it | was."], ["last"]]
    assert df.attrs["format"].kind == "lines"


# What is kept.

AWKWARD_CELLS = [
    ["a,b", "x"],
    ['say "hi"', '"'],
    ["two\nlines", "two\r\nlines"],
    ["lone\rreturn", "\r"],
    ["", "  "],
    ["NA", "null"],
    ["1.0", "001"],
    ["\u00e9\u3000\u2028\x85\x0b\x1c", "\U0001f600"],
    ["\ttab", "semi;colon|pipe"],
]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_cells_survive_writing_and_reading(tmp_path: Path, kind: Any) -> None:
    df = pd.DataFrame(AWKWARD_CELLS, columns=["text", "label"], dtype=object)
    path = tmp_path / "t"
    first = read(tmp_path, "b.csv", "text,label\nx,y\n").attrs["format"]
    with TableWriter(path, first.for_output(kind)) as writer:
        writer.write(df.iloc[:4])
        writer.write(df.iloc[4:])
    assert cells(read_table(path, DataConfig(format=kind))) == AWKWARD_CELLS


def test_a_lone_return_stays_in_an_unquoted_cell(tmp_path: Path) -> None:
    df = read(tmp_path, "a.csv", "text,label\r\none\rtwo,x\r\nthree,y\r\n")
    assert cells(df) == [["one\rtwo", "x"], ["three", "y"]]
    df = read(tmp_path, "a.tsv", 'text\tlabel\n"one\rtwo\tx\n', quoting=False)
    assert cells(df) == [['"one\rtwo', "x"]]


def test_lines_may_end_as_on_an_old_macintosh(tmp_path: Path) -> None:
    assert cells(read(tmp_path, "a.csv", "text,label\ra,x\rb,y\r")) == [["a", "x"], ["b", "y"]]


def test_empty_and_double_column_names_survive(tmp_path: Path) -> None:
    df = read(tmp_path, "a.csv", "v1,v2,,,v2\nham,hello,,,z\n")
    df["predicted"] = ["ham"]
    with TableWriter(tmp_path / "b.csv", df.attrs["format"].for_output()) as writer:
        writer.write(df)
    assert (tmp_path / "b.csv").read_text() == "v1,v2,,,v2,predicted\nham,hello,,,z,ham\n"


def test_jsonl_keeps_types_nulls_and_missing_keys(tmp_path: Path) -> None:
    lines = ['{"text": "a", "n": 1, "x": null}', "", '{"text": "\u00e9", "list": [1, {"k": 2.5}], "b": true}']
    df = read(tmp_path, "a.jsonl", "\n".join(lines))
    assert row_number(df, 1) == 3
    with TableWriter(tmp_path / "b.jsonl", df.attrs["format"].for_output()) as writer:
        writer.write(df)
    found = (tmp_path / "b.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in found] == [json.loads(line) for line in lines if line]


def test_parquet_keeps_types(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {"text": ["a", None], "n": [1, None], "l": [[1], []], "when": [pd.Timestamp("2020-01-02")] * 2}
    )
    pq.write_table(table, tmp_path / "a.parquet")
    df = read_table(tmp_path / "a.parquet", DataConfig())
    with TableWriter(tmp_path / "b.parquet", df.attrs["format"]) as writer:
        writer.write(df)
    assert pq.read_table(tmp_path / "b.parquet") == table
    with TableWriter(tmp_path / "b.jsonl", df.attrs["format"].for_output("jsonl")) as writer:
        writer.write(df)
    assert json.loads((tmp_path / "b.jsonl").read_text().splitlines()[1])["n"] is None


def test_rows_are_numbered_as_in_a_spreadsheet(tmp_path: Path) -> None:
    df = read(tmp_path, "a.csv", 'text,label\n"a\nb",x\n\n\nc,y\nd,z\n')
    assert [row_number(df, label) for label in df.index] == [2, 5, 6]
    assert row_number(df.iloc[[2]], df.iloc[[2]].index[0]) == 6


# Errors.


@pytest.mark.parametrize(
    ("name", "rows_needed"), [("a.csv", "has only a header"), ("a.parquet", "has no rows")]
)
def test_a_table_without_rows_still_tells_its_columns(tmp_path: Path, name: str, rows_needed: str) -> None:
    path = tmp_path / name
    if name == "a.csv":
        path.write_text("id,text\n")
    else:
        pd.DataFrame({"id": pd.Series([], dtype=int), "text": pd.Series([], dtype=str)}).to_parquet(path)
    with pytest.raises(NoRowsError, match=rows_needed) as raised:
        next(stream_table(path, DataConfig(), chunk_rows=2))
    table = raised.value.table
    assert (list(table.columns), len(table), table.attrs["format"].kind) == (["id", "text"], 0, name[2:])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"a\.csv is empty"),
        ("a.csv", b"text,label\n", r"a\.csv has only a header"),
        ("a.csv", b"\n\n", r"a\.csv has no rows"),
        ("a.jsonl", b"\n", r"a\.jsonl has no rows"),
        ("a.csv", b"text,label\na,x\nb\0c,y\n", r"row 3, character 2: there is a NUL byte.*--encoding"),
        ("a.txt", b"a\nb\0c\n", r"a\.txt, row 2, character 2: there is a NUL byte"),
        ("a.csv", b"text,label\na,x\nb,y,z\n", r"row 3: expected 2 cells.*found 3.*--no-quoting"),
        ("a.csv", b"text,label\na,x\nb\n", r"row 3: expected 2 cells.*found 1"),
        ("a.csv", b'text,label\na,x\n"b,y\nc,z\n', r"row 3, column 1: a quote .* opens here.*--no-quoting"),
        ("a.jsonl", b'{"text": "a"}\n[1]\n', r"a\.jsonl, row 2: expected a JSON object.*received list"),
        ("a.jsonl", b'{"text": "a"}\n{"text"\n', r"a\.jsonl, row 2: this is not JSON"),
        ("a.parquet", b"PAR1 but no more", r"a\.parquet is not a whole Parquet file"),
        ("a.csv", b"\x1f\x8b\x08\0", r"a\.csv is compressed"),
        ("a.csv", b"PK\x03\x04rest", r"a\.csv is a zip archive or an Excel workbook"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_row_and_way_out(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    options = {"quoting": True} if b'"b,y' in content else {}
    with pytest.raises(DataError, match=message):
        read(tmp_path, name, content, **options)


def test_a_missing_file_and_a_directory_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv: there is no such file"):
        read_table(tmp_path / "nowhere.csv", DataConfig())
    with pytest.raises(DataError, match="is a directory"):
        read_table(tmp_path, DataConfig())


def test_an_unreadable_file_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path, "a.csv", "text,label\n")
    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match=r"a\.csv cannot be read: Permission denied"):
        read_table(path, DataConfig())


@pytest.mark.parametrize("rows_before", [1, 3000, 200_000])
def test_an_undecodable_byte_is_said_with_row_and_place(tmp_path: Path, rows_before: int) -> None:
    good = "text,label\n" + "caf\u00e9,x\n" * rows_before
    content = good.encode() + b"caf\xe9,y\nz,x\n"
    expected = (
        rf"row {rows_before + 2}, byte {len(good.encode()) + 4} \(0xe9\) is not valid utf-8.*--encoding"
    )
    with pytest.raises(DataError, match=expected):
        read(tmp_path, "a.csv", content, encoding="utf-8")
    with pytest.raises(DataError, match=rf"row {rows_before + 1}, byte"):
        read(tmp_path, "a.txt", content.split(b"\n", 1)[1], encoding="utf-8", format="lines")


def test_utf8_with_a_damaged_byte_is_not_taken_for_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 101, byte .*0xe9"):
        read(tmp_path, "a.txt", "th\u00e9\n".encode() * 100 + b"caf\xe9\n")


def test_an_encoding_that_is_none_for_text_is_refused(tmp_path: Path) -> None:
    for encoding in ("rot13", "idna", "undefined"):
        with pytest.raises(ConfigError, match=f'no text encoding "{encoding}"'):
            read(tmp_path, "a.csv", "text,label\na,b\n", encoding=encoding)


def test_a_byte_that_cp1252_does_not_know_is_said_with_other_encodings(tmp_path: Path) -> None:
    text = "text,label\n\u7533\u3057\u8a33,1\n"
    with pytest.raises(DataError, match=r"is not valid cp1252.* shift_jis, gb18030 or cp1251"):
        read(tmp_path, "a.csv", text.encode("shift_jis"))


def test_a_quote_that_swallows_a_big_file_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_lines, "MAX_CELL_CHARACTERS", 1000)
    content = 'text,label\na,x\n"b,y\n' + "c,z\n" * 500
    with pytest.raises(DataError, match=r"row 3: a cell has more than 1000 characters.*never closed"):
        read(tmp_path, "a.csv", content, quoting=True)


# Columns.


def test_columns_are_found_by_name_number_and_obvious_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    df = read(tmp_path, "a.csv", "id, Review ,stars\n1,good,5\n2,bad,1\n")
    assert resolve_column(df, "stars", "label") == "stars"
    assert resolve_column(df, "3", "label") == "stars"
    with caplog.at_level(logging.INFO):
        assert resolve_column(df, None, "text") == " Review "
    assert "taking column 2" in caplog.text


def test_a_name_wins_over_a_number(tmp_path: Path) -> None:
    df = read(tmp_path, "a.csv", "2,1\nx,y\n", header=True)
    assert resolve_column(df, "2", "text") == "2"


def test_of_two_columns_the_one_beside_an_obvious_one_is_taken(tmp_path: Path) -> None:
    df = read(tmp_path, "a.csv", "text,stars\ngood,5\n")
    assert resolve_column(df, None, "label") == "stars"


@pytest.mark.parametrize(
    ("content", "wanted", "role", "message"),
    [
        ("id,body\n1,a\n", "bodi", "text", r'"bodi"\. Did you mean body\?.*1 "id", 2 "body".*--text-column'),
        ("id,body,n\n1,a,2\n", "4", "text", r'no column "4".*3 "n"'),
        ("id,n,m\n1,a,2\n", None, "label", r"which column holds the labels\?.*--label-column"),
        ("a,a,b\n1,2,3\n", "2", "text", r'row 1: 2 columns are called "a"'),
        ("so it goes,x\nso be it,x\n", None, "text", r"no header.* begin: 1 \(so it goes\), 2 \(x\)"),
    ],
)  # fmt: skip
def test_a_column_that_is_not_there_is_said_with_those_that_are(
    tmp_path: Path, content: str, wanted: str | None, role: Any, message: str
) -> None:
    df = read(tmp_path, "a.csv", content)
    with pytest.raises(DataError, match=message):
        resolve_column(df, wanted, role)


def test_labels_before_texts_are_hinted_at(tmp_path: Path) -> None:
    df = read(tmp_path, "a.txt", "0 bad film\n1 good film\n")
    with pytest.raises(DataError, match="--delimiter ' '"):
        resolve_column(df, None, "label")


# Pieces.


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.parquet"])
def test_pieces_together_are_the_whole(tmp_path: Path, name: str) -> None:
    df = pd.DataFrame({"text": [f"text {n}" for n in range(10)]}, dtype=object)
    kinds = {"a.csv": "csv", "a.jsonl": "jsonl", "a.parquet": "parquet"}
    path = write(tmp_path, name, "".join(f"text {n}\n" for n in range(10)))
    if name in kinds:
        layout = sniff_format(path, DataConfig()).for_output(kinds[name])  # type: ignore[arg-type]
        with TableWriter(path, layout) as writer:
            writer.write(df)
    pieces = list(stream_table(path, DataConfig(header=True if name == "a.csv" else None), chunk_rows=4))
    assert [len(piece) for piece in pieces] == [4, 4, 2]
    assert [text for piece in pieces for text in piece["text"]] == df["text"].tolist()
    first = 2 if name == "a.csv" else 1
    assert [row_number(piece, piece.index[0]) for piece in pieces] == [first, first + 4, first + 8]


@pytest.mark.parametrize(
    ("content", "kind", "columns"),
    [
        ('{"text": "a"}\n{"text": "b"}\n', "jsonl", ["text"]),
        ("id,review\n1,a\n2,b\n", "csv", ["id", "review"]),
        ("id\treview\n1\ta\n2\tb\n", "tsv", ["id", "review"]),
        ("Hello, review\nyou\n", "lines", ["text"]),
    ],
)
def test_a_stream_is_told_by_its_first_line(content: str, kind: str, columns: list[str]) -> None:
    expected = [] if kind == "lines" else ["review"]
    stream = io.BytesIO(content.encode())
    pieces = list(stream_table(stream, DataConfig(), chunk_rows=100, expected_columns=expected))
    assert pieces[0].attrs["format"].kind == kind
    assert list(pieces[0].columns) == columns
    assert sum(map(len, pieces)) == 2


def test_an_empty_stream_is_said() -> None:
    with pytest.raises(DataError, match="standard input is empty"):
        list(stream_table(io.BytesIO(b""), DataConfig(), chunk_rows=5))


def test_a_pipe_gives_rows_as_they_arrive() -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as stream, os.fdopen(write_end, "wb", buffering=0) as out:
        out.write(b"id,text\n1,first\n")
        pieces = stream_table(stream, DataConfig(), chunk_rows=3, expected_columns=["text"])
        assert cells(next(pieces)) == [["1", "first"]]  # and does not wait for a second row
        out.write(b'2,"sec')
        threading.Timer(0.05, lambda: out.write(b'ond"\n')).start()
        assert cells(next(pieces)) == [["2", "second"]]
        out.write(b"3,a\n4,b\n5,c\n6,d\n7\n")
        out.close()
        got: list[Any] = []
        with pytest.raises(DataError, match="standard input, row 8: expected 2 cells"):
            got.extend(piece for piece in pieces)
        assert all(1 <= len(piece) <= 3 for piece in got)
        got = [row for piece in got for row in cells(piece)]
        assert [row[0] for row in got] == ["3", "4", "5", "6"]


def test_a_stream_that_is_left_early_lets_its_reader_go() -> None:
    before = threading.active_count()
    pieces = stream_table(io.BytesIO(b"a\n" * 100_000), DataConfig(), chunk_rows=10)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name == "elmo-cli-reader":
            thread.join(5)
    assert threading.active_count() == before


def test_a_named_pipe_is_read_like_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    threading.Thread(target=path.write_bytes, args=(b"one\ntwo\n",)).start()
    pieces = list(stream_table(path, DataConfig(), chunk_rows=10))
    assert [text for piece in pieces for text in piece["text"]] == ["one", "two"]


def test_a_named_pipe_is_read_whole_however_its_bytes_come(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    rows = [[f"a text, number {number}", str(number % 3)] for number in range(20_000)]
    content = "review;stars\n" + "".join(f"{text};{label}\n" for text, label in rows)

    def write_slowly() -> None:
        with path.open("w", encoding="utf-8") as pipe:
            for start in range(0, len(content), 100_000):
                pipe.write(content[start : start + 100_000])
                pipe.flush()
                time.sleep(0.01)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    table = read_table(path, DataConfig())
    writer.join()
    assert list(table.columns) == ["review", "stars"]
    assert cells(table) == rows


# Real-world files, and small ones with the same awkwardness.

AIRLINE = ("airline_tweets_13cols_crlf.csv", 14640, "text", "airline_sentiment")
MSR = "#1 String"
UGLY = [
    ({"label_column": "airline_sentiment"}, *AIRLINE),
    ({"text_column": "9", "label_column": "2"}, *AIRLINE),
    ({"text_column": "v2", "label_column": "v1"}, "sms_spam_v1v2.csv", 5575, "v2", "v1"),
    ({"text_column": MSR, "label_column": "Quality"}, "msr_paraphrase_bom.tsv", 4076, MSR, "Quality"),
    ({}, "emotion_semicolon.txt", 16000, "text", "label_name"),
    ({"delimiter": " "}, "rt-polarity_cp1252_labelfirst.txt", 10662, "text", "label"),
    ({"drop_empty": True}, "zh_hotel_missing_text.csv", 7766, "review", "label"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "name", "num_rows", "text", "label"), UGLY)
def test_ugly_files_are_read_and_survive_a_round_trip(
    tmp_path: Path, shared: Path, name: str, options: dict[str, Any], num_rows: int, text: str, label: str
) -> None:
    data = DataConfig(**options)
    df = read_table(shared / "ugly" / name, data)
    assert len(df) == num_rows
    assert resolve_column(df, data.text_column, "text") == text
    assert resolve_column(df, data.label_column, "label") == label
    layout = df.attrs["format"].for_output()
    with TableWriter(tmp_path / "copy", layout) as writer:
        writer.write(df)
    told = {name: getattr(layout, name) for name in ("delimiter", "encoding", "quoting", "header")}
    again = read_table(tmp_path / "copy", replace(data, format=layout.kind, **told))
    assert again.equals(df)
    assert list(again.columns) == list(df.columns)


def test_the_ugly_airline_file_keeps_its_line_breaks(shared: Path) -> None:
    df = read_table(shared / "ugly" / "airline_tweets_13cols_crlf.csv", DataConfig())
    assert df["text"].str.contains("\n").sum() > 100


def test_the_ugly_spam_file_keeps_its_lone_returns(shared: Path) -> None:
    df = read_table(shared / "ugly" / "sms_spam_v1v2.csv", DataConfig())
    assert df["v2"].str.contains("\r").sum() == 2


TWINS: list[tuple[str, bytes, dict[str, Any], list[str], list[list[str]]]] = [
    (
        "crlf_and_line_breaks.csv",
        b'id,mood,text,place\r\n1,glad,"so,\ngood",\r\n2,sad,oh no,"here\r\nthere"\r\n',
        {},
        ["id", "mood", "text", "place"],
        [["1", "glad", "so,\ngood", ""], ["2", "sad", "oh no", "here\r\nthere"]],
    ),
    (
        "cp1252_label_first.csv",
        b'v1,v2,,,\r\nham,"give me \xa31, ok? \\""\rham""",,,\r\nspam,win \x80,,,\r\n',
        {},
        ["v1", "v2", "", "", ""],
        [["ham", 'give me \u00a31, ok? \\"\rham"', "", "", ""], ["spam", "win \u20ac", "", "", ""]],
    ),
    (
        "bom_unbalanced_quotes.tsv",
        b"\xef\xbb\xbfQuality\t#1 ID\t#1 String\n"
        b'1\t7\t"He said so\n0\t8\tthe "witness"\n1\t9\t"Odd" he said\n',
        {},
        ["Quality", "#1 ID", "#1 String"],
        [["1", "7", '"He said so'], ["0", "8", 'the "witness"'], ["1", "9", '"Odd" he said']],
    ),
    (
        "semicolon_no_header.txt",
        b"i feel fine, really;joy\ni feel low;sadness\nagain i feel fine;joy\n",
        {},
        ["1", "2"],
        [["i feel fine, really", "joy"], ["i feel low", "sadness"], ["again i feel fine", "joy"]],
    ),
    (
        "label_blank_text.txt",
        b"0 simplistic , silly\n1 well done\x85 \n",
        {"delimiter": " "},
        ["label", "text"],
        [["0", "simplistic , silly"], ["1", "well done\u2026 "]],
    ),
    (
        "missing_text.csv",
        "label,review\n1,\"\u5f88\u597d\uff0c\"\"\u4e0d\u9519\"\"\"\n0,\n".encode(),
        {},
        ["label", "review"],
        [["1", "\u5f88\u597d\uff0c\"\u4e0d\u9519\""], ["0", ""]],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "options", "columns", "expected"), TWINS, ids=lambda v: str(v)[:30]
)
def test_small_ugly_files_are_read(
    tmp_path: Path,
    name: str,
    content: bytes,
    options: dict[str, Any],
    columns: list[str],
    expected: list[list[str]],
) -> None:
    df = read(tmp_path, name, content, **options)
    assert list(df.columns) == columns
    assert cells(df) == expected


# Writing.


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
