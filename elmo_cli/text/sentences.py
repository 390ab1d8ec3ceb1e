"""Space-joined sentences of limited length."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from elmo_cli.config import percentile
from elmo_cli.counts import counted
from elmo_cli.errors import ConfigError

NO_LIMIT = int(np.iinfo(np.int32).max)  # tokens of a sentence that is not cut


@dataclass(frozen=True)
class Sentences:
    """N sentences as embedders take them.

    Args:
        texts: object (N,) of str: tokens joined by single spaces, no padding.
        lengths: int32 (N,): number of tokens, at least 1 (``""`` is one empty token).
    """

    texts: npt.NDArray[np.object_]
    lengths: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """Number of sentences, N."""
        return len(self.texts)


@dataclass(frozen=True)
class CutReport:
    """What the limit of the length took away.

    Args:
        num_rows: Rows looked at.
        num_rows_cut: Rows that lost tokens.
        num_tokens: Tokens before cutting.
        num_tokens_cut: Tokens lost.
    """

    num_rows: int
    num_rows_cut: int
    num_tokens: int
    num_tokens_cut: int

    def __add__(self, other: "CutReport") -> "CutReport":
        """Joins the reports of two pieces of a table."""
        return CutReport(
            self.num_rows + other.num_rows,
            self.num_rows_cut + other.num_rows_cut,
            self.num_tokens + other.num_tokens,
            self.num_tokens_cut + other.num_tokens_cut,
        )

    def __str__(self) -> str:
        """Says it in a sentence."""
        if not self.num_rows_cut:
            return f"none of {counted(self.num_rows, 'row')} was cut"
        were = "was" if self.num_rows_cut == 1 else "were"
        return (
            f"{self.num_rows_cut} of {counted(self.num_rows, 'row')} {were} cut and lost "
            f"{self.num_tokens_cut} of {counted(self.num_tokens, 'token')} "
            f"({self.num_tokens_cut / self.num_tokens:.2%})"
        )


def token_counts(joined: Sequence[str]) -> npt.NDArray[np.int32]:
    """Returns the number of tokens of space-joined texts, int32 (N,); an empty text has one, empty, token."""
    return np.fromiter((text.count(" ") + 1 for text in joined), dtype=np.int32, count=len(joined))


def choose_max_tokens(lengths: npt.NDArray[np.int32], policy: int | str) -> int:
    """Chooses how many tokens of a sentence are kept.

    Args:
        lengths: int32 (N,), tokens per sentence; N at least 1.
        policy: A number of tokens; ``longest``; or ``pQ``, the smallest length that at least Q percent of
            the sentences do not exceed, Q in (0, 100].

    Returns:
        Tokens, from 1 to `NO_LIMIT`.

    Raises:
        ConfigError: For another policy.
    """
    text = str(policy).strip()
    if re.fullmatch("[0-9]+", text) and int(text) > 0:
        return min(int(text), NO_LIMIT)
    if text == "longest":
        return int(lengths.max())
    if (share := percentile(text)) is not None:
        return int(np.percentile(lengths, share, method="inverted_cdf"))
    raise ConfigError(
        f'The maximum length must be a number of tokens, "longest", or a percentile such as "p99"; '
        f"received {policy!r}."
    )


def cut(joined: Sequence[str], max_tokens: int) -> Sentences:
    """Keeps the first tokens of each sentence.

    Args:
        joined: N texts, their tokens joined by single spaces.
        max_tokens: Most tokens of a sentence, at least 1.

    Returns:
        The N sentences.
    """
    max_tokens = min(max_tokens, NO_LIMIT)
    counts = token_counts(joined)
    texts = np.empty(len(joined), dtype=object)
    texts[:] = joined
    for row in np.flatnonzero(counts > max_tokens):
        texts[row] = " ".join(texts[row].split(" ", max_tokens)[:max_tokens])
    return Sentences(texts, np.minimum(counts, np.int32(max_tokens)))


def cut_report(counts: npt.NDArray[np.int32], max_tokens: int) -> CutReport:
    """Returns what `cut` takes away from sentences of these lengths, int32 (N,)."""
    lost = np.maximum(counts.astype(np.int64) - min(max_tokens, NO_LIMIT), 0)
    return CutReport(
        len(counts), int(np.count_nonzero(lost)), int(counts.sum(dtype=np.int64)), int(lost.sum())
    )
