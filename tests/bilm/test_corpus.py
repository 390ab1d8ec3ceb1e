"""Sentences of text files, and their words counted."""

import gzip
from pathlib import Path

import pytest

from elmo_cli.bilm.corpus import count_words, read_sentences
from elmo_cli.errors import DataError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_each_line_with_a_token_is_a_sentence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "The  cat\tsat .\n\n   \nNaïve 🙂\r\nno newline at the end")
    assert list(read_sentences(path)) == [
        ["The", "cat", "sat", "."],
        ["Naïve", "🙂"],
        ["no", "newline", "at", "the", "end"],
    ]


def test_a_byte_order_mark_is_no_part_of_the_first_token(tmp_path: Path) -> None:
    assert list(read_sentences(write(tmp_path / "a.txt", "\ufeffA b\n"))) == [["A", "b"]]


def test_gz_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"a b\nc\n"))
    assert list(read_sentences(path)) == [["a", "b"], ["c"]]


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin1.txt"
    path.write_bytes("fine\n\nna\u00efve\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"latin1\.txt, line 3: not UTF-8 .*iconv"):
        list(read_sentences(path))


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data[:20] + b"\xff\xff\xff" + data[23:]]
)
def test_a_damaged_gz_file_is_named(tmp_path: Path, damage) -> None:
    path = tmp_path / "cut.txt.gz"
    path.write_bytes(damage(gzip.compress(b"a b c d e f g h\n" * 500 + bytes(range(1, 127)))))
    with pytest.raises(DataError, match=r"cut\.txt\.gz: cannot be read"):
        list(read_sentences(path))


def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.txt", tmp_path, write(tmp_path / "plain.gz", "text")):
        with pytest.raises(DataError, match=rf"{path.name}: cannot be read"):
            list(read_sentences(path))


def test_the_tokens_of_each_file_are_counted(tmp_path: Path) -> None:
    one = write(tmp_path / "1.txt", "b B c\nzebra a\n")
    other = write(tmp_path / "2.txt", "c A\n")
    counts, totals = count_words([one, write(tmp_path / "3.txt", "\n"), other])
    assert totals == (5, 0, 2)
    assert counts["c"] == 2
