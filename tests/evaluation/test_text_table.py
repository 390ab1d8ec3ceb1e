"""Tables of plain text."""

import pytest

from elmo_cli.evaluation.text_table import shorten, table, width_of


@pytest.mark.parametrize(
    ("text", "cells"),
    [("abc", 3), ("人間", 4), ("cafe\u0301", 4), ("한국", 4), ("a\u200db", 2), ("", 0), ("🙂", 2)],
)
def test_width_is_counted_in_terminal_cells(text: str, cells: int) -> None:
    assert width_of(text) == cells


def test_shortening_marks_the_cut_and_keeps_to_the_width() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"
    assert shorten("人間の名前", 6) == "人間…"
    assert shorten("a\tb\x1b[31m", 20) == "a\\tb\\x1b[31m"


def test_cells_are_aligned_by_column() -> None:
    assert table([["a", "1", "x"], ["人", "100", "yy"]], align="lr") == ["a     1   x", "人  100  yy"]
