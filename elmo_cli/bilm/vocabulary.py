"""The words a language model predicts: counted in a text, or taken from a list."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elmo_cli.errors import DataError

SENTENCE_BEGIN_WORD, SENTENCE_END_WORD, UNKNOWN_WORD = "<S>", "</S>", "<UNK>"
SENTENCE_BEGIN_ID, SENTENCE_END_ID, UNKNOWN_ID = 0, 1, 2
SPECIAL_WORDS = (SENTENCE_BEGIN_WORD, SENTENCE_END_WORD, UNKNOWN_WORD)


@dataclass(frozen=True)
class Vocabulary:
    """The words a language model predicts, the most frequent first.

    Only what is predicted is meant: what is read is spelled by characters, its case included.

    Args:
        words: Ids 0, 1 and 2 are the marks of sentence begin and end and the unknown word.
        cased: Whether "The" and "the" are two words; else all words stand in lower case.
    """

    words: tuple[str, ...]
    cased: bool = False

    def __post_init__(self) -> None:
        # A special word that stands in a text is a word like others, not a mark.
        ids = {word: i for i, word in enumerate(self.words) if i >= len(SPECIAL_WORDS)}
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def build(cls, counts: Mapping[str, int], size: int, *, cased: bool = False) -> "Vocabulary":
        """Keeps the most frequent words.

        Args:
            counts: How often each word occurs; see `corpus.count_words`.
            size: Most words, the three special ones included.
            cased: Whether words keep their case.

        Raises:
            DataError: If there are no words.
        """
        frequencies = _in_case(counts, cased)
        if not frequencies:
            raise DataError("The corpus is empty: no file holds a token.")
        # Ties in alphabetical order, so that a rebuilt vocabulary is the same. What is called as a special
        # word is unknown: its line in vocab.txt could not be told from that of the mark.
        words = (word for word in frequencies if word not in SPECIAL_WORDS)
        frequent = sorted(words, key=lambda word: (-frequencies[word], word))[: size - len(SPECIAL_WORDS)]
        return cls((*SPECIAL_WORDS, *frequent), cased)

    @classmethod
    def from_text(cls, text: str, *, cased: bool | None = None) -> "Vocabulary":
        """Reads what `to_text` wrote.

        Args:
            text: One word a line.
            cased: Whether words keep their case; None tells it by whether a word has a capital letter.
        """
        words = tuple(text.split("\n")[:-1])
        return cls(words, has_capitals(words[len(SPECIAL_WORDS) :]) if cased is None else cased)

    def to_text(self) -> str:
        """Returns one word a line, in the order of the ids."""
        return "".join(f"{word}\n" for word in self.words)

    def sorted_by(self, counts: Mapping[str, int]) -> "Vocabulary":
        """Returns the same words, the most frequent first, as sampling needs them; ties as they stood."""
        frequencies = _in_case(counts, self.cased)
        words = sorted(self.words[len(SPECIAL_WORDS) :], key=lambda word: -frequencies[word])
        return Vocabulary((*SPECIAL_WORDS, *words), self.cased)

    def __len__(self) -> int:
        return len(self.words)

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Returns the ids of the tokens between those of the two sentence marks."""
        known: dict[str, int] = self._ids  # type: ignore[attr-defined]
        if not self.cased:
            tokens = [token.lower() for token in tokens]
        words = (known.get(token, UNKNOWN_ID) for token in tokens)
        return [SENTENCE_BEGIN_ID, *words, SENTENCE_END_ID]


def read_vocabulary(path: Path, *, cased: bool | None = None) -> Vocabulary:
    """Reads a list of words, one a line.

    Args:
        path: UTF-8 text. The special words ``<S> </S> <UNK>`` stand in the first three lines, as in the
            vocab.txt of bilm-tf and AllenNLP, or nowhere.
        cased: As for `Vocabulary.from_text`.

    Raises:
        DataError: If the file cannot be read, is empty, or a line holds no word, several ones, one that
            stands further up already, or a capital letter where `cased` is False.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error.reason}). Convert the file, as with iconv.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    words = [line.strip() for line in text.rstrip().split("\n")]
    if words == [""]:
        raise DataError(f"{path} is empty. Give a list of words, one a line, the most frequent first.")
    lines: dict[str, int] = {}
    for number, word in enumerate(words, 1):
        if len(word.split()) != 1:
            raise DataError(f"{path}, line {number}: expected one word, received {word!r}. Correct the line.")
        if word in lines:
            raise DataError(
                f'{path}, line {number}: "{word}" stands in line {lines[word]} already. Remove one.'
            )
        lines[word] = number
    if tuple(words[: len(SPECIAL_WORDS)]) == SPECIAL_WORDS:
        del words[: len(SPECIAL_WORDS)]
    elif found := [word for word in SPECIAL_WORDS if word in lines]:
        raise DataError(
            f"{path}, line {lines[found[0]]}: {found[0]} stands here. The special words "
            f"{', '.join(SPECIAL_WORDS)} must be the first three lines, in this order, or be left out."
        )
    if cased is False and has_capitals(words):
        word = next(word for word in words if word != word.lower())
        raise DataError(
            f'{path}, line {lines[word]}: "{word}" has a capital letter, which --lower-cased never predicts. '
            "Leave out --lower-cased, or lower the words."
        )
    return Vocabulary((*SPECIAL_WORDS, *words), has_capitals(words) if cased is None else cased)


def has_capitals(words: Sequence[str]) -> bool:
    """Returns whether lower-casing changes a word."""
    return any(word != word.lower() for word in words)


def _in_case(counts: Mapping[str, int], cased: bool) -> Counter[str]:
    if cased:
        return Counter(counts)
    lower: Counter[str] = Counter()
    for word, count in counts.items():
        lower[word.lower()] += count
    return lower
