"""Columns are found by name, number and obvious name."""

import logging
from pathlib import Path
from typing import Any

import pytest
from text.table_files import read

from elmo_cli.errors import DataError
from elmo_cli.text.columns import resolve_column, resolve_columns


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


def test_both_columns_are_asked_for_at_once(tmp_path: Path) -> None:
    df = read(tmp_path, "a.csv", "id,n,m\n1,a,2\n")
    asked = r"which columns hold the texts and the labels\?.*--text-column and --label-column"
    with pytest.raises(DataError, match=asked):
        resolve_columns(df, None, None)
    with pytest.raises(DataError, match=r"which column holds the labels\?"):
        resolve_columns(df, "n", None)
    assert resolve_columns(df, "n", "3") == ("n", "m")


def test_labels_before_texts_are_hinted_at(tmp_path: Path) -> None:
    df = read(tmp_path, "a.txt", "0 bad film\n1 good film\n")
    with pytest.raises(DataError, match="--delimiter ' '"):
        resolve_column(df, None, "label")
