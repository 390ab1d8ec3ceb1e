"""The words a model predicts: built from counts, or read from a list."""

from collections import Counter
from pathlib import Path

import pytest

from elmo_cli.bilm.vocabulary import Vocabulary, read_vocabulary
from elmo_cli.errors import DataError

COUNTS = Counter(["b", "B", "c", "c", "zebra", "a", "A", "Naïve", "naïve", "naïve"])


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_the_vocabulary_is_lower_cased_most_frequent_first_ties_by_name() -> None:
    vocabulary = Vocabulary.build(COUNTS, 100)
    assert vocabulary.words == ("<S>", "</S>", "<UNK>", "naïve", "a", "b", "c", "zebra")
    assert Vocabulary.build(COUNTS, 6).words == ("<S>", "</S>", "<UNK>", "naïve", "a", "b")
    assert len(vocabulary) == 8
    assert vocabulary.ids(["B", "what", "a"]) == [0, 5, 2, 4, 1]


def test_a_cased_vocabulary_tells_capitals_apart() -> None:
    vocabulary = Vocabulary.build(COUNTS, 100, cased=True)
    assert vocabulary.words[3:] == ("c", "naïve", "A", "B", "Naïve", "a", "b", "zebra")
    assert vocabulary.ids(["Naïve", "naïve", "C"]) == [0, 7, 4, 2, 1]


@pytest.mark.parametrize("cased", [False, True])
def test_special_words_in_the_text_are_never_taken_for_the_marks(cased: bool) -> None:
    vocabulary = Vocabulary.build(Counter(["<S>", "<UNK>", "</S>", "x"]), 100, cased=cased)
    assert len(set(vocabulary.words)) == len(vocabulary)
    assert min(vocabulary.ids(["<S>", "<UNK>", "</S>", "x"])[1:-1]) >= 2
    assert Vocabulary.from_text(vocabulary.to_text(), cased=cased) == vocabulary


@pytest.mark.parametrize("cased", [False, True])
def test_the_vocabulary_comes_back_from_its_text(tmp_path: Path, cased: bool) -> None:
    vocabulary = Vocabulary.build(Counter(["Naïve", "🙂", "a", "\ufeff"]), 100, cased=cased)
    path = write(tmp_path / "vocab.txt", vocabulary.to_text())
    assert Vocabulary.from_text(path.read_text(encoding="utf-8")) == vocabulary


def test_no_words_are_refused() -> None:
    with pytest.raises(DataError, match="corpus is empty"):
        Vocabulary.build(Counter(), 100)


@pytest.mark.parametrize("text", ["<S>\n</S>\n<UNK>\nthe\nof\n", "\ufeffthe\r\nof", "the\nof\n\n\n"])
def test_a_list_is_read_with_and_without_the_special_words(tmp_path: Path, text: str) -> None:
    vocabulary = read_vocabulary(write(tmp_path / "words.txt", text))
    assert vocabulary == Vocabulary(("<S>", "</S>", "<UNK>", "the", "of"))


def test_a_capital_letter_makes_a_list_cased(tmp_path: Path) -> None:
    path = write(tmp_path / "words.txt", "the\nThe\n")
    assert read_vocabulary(path).cased
    assert read_vocabulary(path, cased=True).ids(["The", "the", "THE"]) == [0, 4, 3, 2, 1]
    with pytest.raises(DataError, match=r'words\.txt, line 2: "The" has a capital letter.*--lower-cased'):
        read_vocabulary(path, cased=False)
    assert read_vocabulary(write(path, "the\n"), cased=True).cased


def test_a_list_is_put_into_the_order_of_the_text() -> None:
    vocabulary = Vocabulary(("<S>", "</S>", "<UNK>", "apple", "a", "never", "c"))
    assert vocabulary.sorted_by(COUNTS).words == ("<S>", "</S>", "<UNK>", "a", "c", "apple", "never")
    cased = Vocabulary(("<S>", "</S>", "<UNK>", "a", "naïve"), cased=True)
    assert cased.sorted_by(COUNTS).words[3:] == ("naïve", "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"words\.txt is empty"),
        ("\n \n", r"words\.txt is empty"),
        ("the\nof\nthe\n", r'words\.txt, line 3: "the" stands in line 1 already'),
        ("the\n\nof\n", r"words\.txt, line 2: expected one word, received ''"),
        ("the 12\nof 3\n", r"words\.txt, line 1: expected one word, received 'the 12'"),
        ("the\n<UNK>\n", r"words\.txt, line 2: <UNK> stands here.*first three lines"),
        ("<UNK>\n<S>\n</S>\nthe\n", r"line 2: <S> stands here"),
    ],
)
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_vocabulary(write(tmp_path / "words.txt", text))


def test_a_list_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.txt: cannot be read \(No such file"):
        read_vocabulary(tmp_path / "absent.txt")
    (tmp_path / "latin1.txt").write_bytes("naïve\n".encode("cp1252"))
    with pytest.raises(DataError, match=r"latin1\.txt: not UTF-8"):
        read_vocabulary(tmp_path / "latin1.txt")
