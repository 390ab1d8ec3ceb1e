"""Text files with one tokenised sentence a line → sentences, and how often each word occurs."""

import gzip
import itertools
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO

from elmo_cli.errors import DataError

Reader = Callable[[Path], Iterator[list[str]]]


def read_sentences(path: Path) -> Iterator[list[str]]:
    """Yields the tokens of each line that has any.

    Args:
        path: UTF-8 text, plain or .gz, with or without a byte order mark; tokens are separated by
            white space.

    Raises:
        DataError: If the file cannot be read or is not UTF-8; names file and line.
    """
    for line in read_lines(path):
        if tokens := line.split():
            yield tokens


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a file; see `read_sentences`."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            yield from decode_lines(file, str(path))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error


def decode_lines(file: "IO[bytes] | gzip.GzipFile", name: str) -> Iterator[str]:
    """Yields the lines of an open file of UTF-8.

    Args:
        file: Open for reading bytes.
        name: What messages call it.

    Raises:
        DataError: If a line is not UTF-8.
    """
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"{name}, line {number}: not UTF-8 ({error.reason}). Convert the text, for example with "
                "iconv."
            ) from error


def pieces(tokens: list[str], max_tokens: int) -> Iterator[list[str]]:
    """Cuts a sentence into pieces of at most so many tokens."""
    for start in range(0, len(tokens), max_tokens):
        yield tokens[start : start + max_tokens]


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
