"""A small share of a text that training never sees, to measure on."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elmo_cli.bilm.corpus import read_sentences
from elmo_cli.counts import counted
from elmo_cli.errors import DataError

# Enough tokens to measure perplexity within about 1 %; of a small text no more than every twentieth sentence.
_ENOUGH_TOKENS = 100_000
_MOST_SHARE = 1 / 20


@dataclass(frozen=True)
class HeldOut:
    """Which sentences of a text are held out: told by their words, so that no other record is needed.

    A sentence that stands in the text twice is held out twice or not at all.

    Args:
        one_in: One sentence of so many; 0 for none.
    """

    one_in: int = 0

    def holds(self, tokens: Sequence[str]) -> bool:
        """Returns whether a sentence is held out."""
        return bool(self.one_in) and zlib.crc32(" ".join(tokens).encode()) % self.one_in == 0

    def training_sentences(self, path: Path) -> Iterator[list[str]]:
        """Yields what `read_sentences` does but for the sentences that are held out."""
        return (tokens for tokens in read_sentences(path) if not self.holds(tokens))

    def sentences(self, paths: Sequence[Path]) -> list[list[str]]:
        """Returns the sentences that are held out."""
        return [tokens for path in paths for tokens in read_sentences(path) if self.holds(tokens)]


def hold_out(paths: Sequence[Path], num_tokens: int) -> tuple[HeldOut, list[list[str]]]:
    """Chooses a small share of a text to hold out.

    Args:
        paths: Files as `read_sentences` reads them.
        num_tokens: Tokens in all of them.

    Returns:
        The choice, and the sentences.

    Raises:
        DataError: If the text is so small that nothing would be left on one of the sides.
    """
    one_in = max(round(1 / _MOST_SHARE), num_tokens // _ENOUGH_TOKENS)
    while one_in > 1:
        held_out = HeldOut(one_in)
        sentences = held_out.sentences(paths)
        if 0 < sum(map(len, sentences)) < num_tokens:
            return held_out, sentences
        one_in //= 2
    num_sentences = sum(1 for path in paths for _ in read_sentences(path))
    raise DataError(
        "The corpus is too small, or too much alike, to hold a part of it out: it has "
        f"{counted(num_sentences, 'line')}, and one sentence a line is expected. Put each sentence on a line "
        "of its own, or give a text to measure perplexity on with --held-out."
    )
