"""What is told from a file: delimiter, quoting, encoding, header."""

import logging
from pathlib import Path

import pytest
from text.table_files import cells, read, write

from elmo_cli.config import DataConfig
from elmo_cli.errors import DataError
from elmo_cli.text import lines as text_lines
from elmo_cli.text.sniffing import sniff_format
from elmo_cli.text.tables import read_table


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
