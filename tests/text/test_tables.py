"""Reading: what is kept of a file, and what is said when it cannot be used."""

import io
import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from text.table_files import cells, read, write

from elmo_cli.config import DataConfig
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.text import lines as text_lines
from elmo_cli.text.columns import resolve_column, row_number
from elmo_cli.text.sniffing import sniff_format
from elmo_cli.text.table_writer import TableWriter
from elmo_cli.text.tables import NoRowsError, read_table, stream_table

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
    before = set(threading.enumerate())  # one of another test may be on its way to its end
    pieces = stream_table(io.BytesIO(b"a\n" * 100_000), DataConfig(), chunk_rows=10)
    next(pieces)
    readers = set(threading.enumerate()) - before
    assert [reader.name for reader in readers] == ["elmo-cli-reader"]
    pieces.close()  # type: ignore[attr-defined]
    for reader in readers:
        reader.join(60)
        assert not reader.is_alive()


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
