"""Text files with one tokenised sentence a line → sentences and the words a model predicts."""

import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elmo_cli.errors import DataError

SENTENCE_BEGIN_WORD, SENTENCE_END_WORD, UNKNOWN_WORD = "<S>", "</S>", "<UNK>"
SENTENCE_BEGIN_ID, SENTENCE_END_ID, UNKNOWN_ID = 0, 1, 2


def read_sentences(path: Path) -> Iterator[list[str]]:
    """Yields the tokens of each line that has any.

    Args:
        path: UTF-8 text, plain or .gz, with or without a byte order mark; tokens are separated by
            white space.

    Raises:
        DataError: If the file cannot be read or is not UTF-8; names file and line.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            for line in file:
                number += 1
                tokens = line.decode("utf-8-sig" if number == 1 else "utf-8").split()
                if tokens:
                    yield tokens
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number}: not UTF-8 ({error.reason}). Convert the file, for example with iconv."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error


def count_words(paths: Iterable[Path]) -> tuple[Counter[str], tuple[int, ...]]:
    """Counts the words of files as `read_sentences` reads them.

    Returns:
        How often each word occurs in all of them, and the number of tokens in each file.
    """
    counts: Counter[str] = Counter()
    totals = [0]
    for path in paths:
        for tokens in read_sentences(path):
            counts.update(tokens)
        totals.append(counts.total())
    return counts, tuple(after - before for before, after in itertools.pairwise(totals))


@dataclass(frozen=True)
class Vocabulary:
    """The words a language model predicts, lower-cased, the most frequent first.

    Args:
        words: Ids 0, 1 and 2 are the marks of sentence begin and end and the unknown word.
    """

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", {word: i for i, word in enumerate(self.words)})

    @classmethod
    def build(cls, counts: Mapping[str, int], size: int) -> "Vocabulary":
        """Keeps the most frequent words.

        Args:
            counts: How often each word occurs; see `count_words`.
            size: Most words, the three special ones included.

        Raises:
            DataError: If there are no words.
        """
        lower: Counter[str] = Counter()
        for word, count in counts.items():
            lower[word.lower()] += count
        if not lower:
            raise DataError("The corpus is empty: no file holds a token.")
        # Ties in alphabetical order, so that a rebuilt vocabulary is the same.
        frequent = sorted(lower, key=lambda word: (-lower[word], word))[: size - 3]
        return cls((SENTENCE_BEGIN_WORD, SENTENCE_END_WORD, UNKNOWN_WORD, *frequent))

    @classmethod
    def from_text(cls, text: str) -> "Vocabulary":
        """Reads what `to_text` wrote."""
        return cls(tuple(text.split("\n")[:-1]))

    def to_text(self) -> str:
        """Returns one word a line, in the order of the ids."""
        return "".join(f"{word}\n" for word in self.words)

    def __len__(self) -> int:
        return len(self.words)

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Returns the ids of the tokens between those of the two sentence marks."""
        known: dict[str, int] = self._ids  # type: ignore[attr-defined]
        words = (known.get(token.lower(), UNKNOWN_ID) for token in tokens)
        return [SENTENCE_BEGIN_ID, *words, SENTENCE_END_ID]
