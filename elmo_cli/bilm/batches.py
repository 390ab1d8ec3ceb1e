"""Sentences → shuffled batches of one length, and batches → arrays for a language model."""

import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from elmo_cli.bilm.characters import PADDING, TOKEN_BEGIN, TOKEN_END, sentence_marks
from elmo_cli.bilm.corpus import Reader, pieces, read_sentences
from elmo_cli.bilm.vocabulary import Vocabulary
from elmo_cli.errors import DataError

logger = logging.getLogger(__name__)

# What is shuffled at once: so many sentences; fewer where they are as long as documents, to spare memory.
_POOL_SENTENCES = 60_000
_POOL_TOKENS = 4_000_000


class Speller:
    """Spells tokens as character ids and remembers them.

    Args:
        width: Characters per token, the two marks included.
        max_filter_width: Width of the widest convolution; see `characters.sentence_characters`.
    """

    def __init__(self, width: int, max_filter_width: int) -> None:
        self.width = width
        self.max_filter_width = max_filter_width
        self._spelled: dict[str, np.ndarray] = {}

    def spell(self, sentences: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """Spells the distinct tokens of sentences of one length.

        Args:
            sentences: B sentences of T tokens.

        Returns:
            int32 (M, W) character ids, rows 0 and 1 the sentence marks, and int32 (B, T + 2) rows.
        """
        rows: dict[str, int] = {}
        index = [[0, *(rows.setdefault(token, len(rows) + 2) for token in tokens), 1] for tokens in sentences]
        ids = np.concatenate([sentence_marks(self.width), np.stack([self._token(token) for token in rows])])
        longest = int((ids != PADDING).sum(axis=1).max())
        return ids[:, : min(longest + self.max_filter_width, self.width)], np.asarray(index, np.int32)

    def _token(self, token: str) -> np.ndarray:
        ids = self._spelled.get(token)
        if ids is None:
            if len(self._spelled) > 1_000_000:
                self._spelled.clear()
            spelled = token.encode("utf-8")[: self.width - 2]
            ids = np.full(self.width, PADDING, np.int32)
            ids[0] = TOKEN_BEGIN
            ids[1 : 1 + len(spelled)] = list(spelled)
            ids[1 + len(spelled)] = TOKEN_END
            self._spelled[token] = ids
        return ids


def language_model_batch(
    sentences: Sequence[Sequence[str]], vocabulary: Vocabulary, speller: Speller
) -> dict[str, np.ndarray]:
    """Returns the arrays of sentences of one length that `LanguageModel` takes, negatives aside."""
    character_ids, index = speller.spell(sentences)
    targets = np.asarray([vocabulary.ids(tokens) for tokens in sentences], np.int32)
    return {"character_ids": character_ids, "index": index, "targets": targets}


def equal_length_batches(
    paths: Sequence[Path],
    *,
    batch_tokens: Callable[[int], int],
    max_tokens: int,
    lower_share: float,
    seed: int,
    pool_tokens: int | None = _POOL_TOKENS,
    read: Reader = read_sentences,
) -> Iterator[list[list[str]]]:
    """Goes over the text once, shuffled, in batches of sentences of exactly one length.

    Equal lengths need no padding and no mask. Longer sentences are cut into pieces.

    Args:
        paths: Files as `read` reads them.
        batch_tokens: Gives the tokens per batch of a pool of sentences, asked with the pool's number
            when it is read. The number of sentences in a batch follows from their length.
        max_tokens: Most tokens of a sentence.
        lower_share: Share of the sentences that are lower-cased, in [0, 1].
        seed: Seed of the files' order, the sentences' order and lower-casing.
        pool_tokens: Tokens after which a pool of sentences ends, None for any number.
        read: What gives the sentences of a file.

    Yields:
        Batches, each a list of token lists of one length.
    """
    rng = np.random.default_rng(seed)
    files = [paths[i] for i in rng.permutation(len(paths))]
    sentences = itertools.chain.from_iterable(read(path) for path in files)
    waiting: dict[int, list[list[str]]] = defaultdict(list)
    for number in itertools.count():
        if not (pool := _next_pool(sentences, pool_tokens)):
            break
        tokens_per_batch = batch_tokens(number)
        for i, tokens in enumerate(pool):
            if rng.random() < lower_share:
                pool[i] = tokens = [token.lower() for token in tokens]
            for piece in pieces(tokens, max_tokens):
                waiting[len(piece)].append(piece)
        batches = []
        for length in sorted(waiting):
            of_length = waiting[length]
            rows = _round(max(1, tokens_per_batch // (length + 1)))
            order = rng.permutation(len(of_length))
            full = len(order) // rows * rows
            batches += [[of_length[i] for i in order[at : at + rows]] for at in range(0, full, rows)]
            waiting[length] = [of_length[i] for i in order[full:]]
        for i in rng.permutation(len(batches)):
            yield batches[i]
    rest = [part for of_length in waiting.values() for part in _round_parts(of_length)]
    for i in rng.permutation(len(rest)):
        yield rest[i]


def _next_pool(sentences: Iterator[list[str]], max_tokens: int | None) -> list[list[str]]:
    """Returns the sentences that are shuffled next, none at the end."""
    pool: list[list[str]] = []
    num_tokens = 0
    for tokens in itertools.islice(sentences, _POOL_SENTENCES):
        pool.append(tokens)
        num_tokens += len(tokens)
        if max_tokens is not None and num_tokens >= max_tokens:
            break
    return pool


def _round(rows: int) -> int:
    """Rounds down to a number of three binary digits and zeros.

    Batches of a handful of sizes are trained on faster than batches of each its own: parts of a step are
    compiled for the size.
    """
    zeros = max(0, rows.bit_length() - 3)
    return rows >> zeros << zeros


def _round_parts(sentences: list[list[str]]) -> Iterator[list[list[str]]]:
    """Cuts what is left of a length into batches of such sizes."""
    while sentences:
        rows = _round(len(sentences))
        yield sentences[:rows]
        sentences = sentences[rows:]


@dataclass(frozen=True)
class Place:
    """Where in the text training stands, next to the number of batches seen.

    Args:
        passes: Whole passes over the text.
        batches: Batches of those passes.
        doubled_from: (pass, pool) from which on a batch holds twice the tokens; None so far.
        pool_tokens: Tokens after which a pool of sentences ends, None for any number. It decides the order
            of the text, and stays what it was when training began.
    """

    passes: int = 0
    batches: int = 0
    doubled_from: tuple[int, int] | None = None
    pool_tokens: int | None = _POOL_TOKENS


class CorpusBatches:
    """Endless batches of equal length that go on exactly where an earlier process stopped.

    Args:
        paths: Files as `read` reads them.
        batch_tokens: Tokens per batch at first.
        max_tokens: Most tokens of a sentence; longer ones are cut into pieces.
        lower_share: Share of the sentences that are lower-cased, in [0, 1].
        seed: Seed of every order; each pass has its own.
        num_batches: Batches that were seen already.
        place: `place` of the process that saw them.
        read: What gives the sentences of a file.

    Attributes:
        place: Where it stands now.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        batch_tokens: int,
        max_tokens: int,
        lower_share: float,
        seed: int,
        num_batches: int = 0,
        place: Place = Place(),
        read: Reader = read_sentences,
    ) -> None:
        self.paths = paths
        self.batch_tokens = batch_tokens
        self.max_tokens = max_tokens
        self.lower_share = lower_share
        self.seed = seed
        self.place = place
        self.read = read
        self._double = False
        self._skip = num_batches - place.batches
        self._batches = self._endless()

    def next(self, *, double: bool = False) -> list[list[str]]:
        """Returns the next batch: token lists of one length.

        Args:
            double: Whether batches shall hold twice the tokens from the next pool of sentences on; once
                they do, they keep doing so.

        Raises:
            DataError: If the files hold no token, or cannot be read.
        """
        self._double = double
        return next(self._batches)

    def _endless(self) -> Iterator[list[list[str]]]:
        for number in itertools.count(self.place.passes):
            count = 0
            for batch in equal_length_batches(
                self.paths,
                batch_tokens=lambda pool, number=number: self._tokens_per_batch(number, pool),  # type: ignore[misc]
                max_tokens=self.max_tokens,
                lower_share=self.lower_share,
                seed=self.seed + number,
                pool_tokens=self.place.pool_tokens,
                read=self.read,
            ):
                count += 1
                if self._skip:
                    self._skip -= 1
                else:
                    yield batch
            if not count:
                raise DataError("The corpus is empty: no file holds a token.")
            self.place = replace(self.place, passes=number + 1, batches=self.place.batches + count)
            logger.info("The whole corpus was seen %d times.", number + 1)

    def _tokens_per_batch(self, number: int, pool: int) -> int:
        # What is skipped was decided by the process that saw it.
        if self._double and not self._skip and self.place.doubled_from is None:
            self.place = replace(self.place, doubled_from=(number, pool))
        start = self.place.doubled_from
        return self.batch_tokens * (2 if start is not None and (number, pool) >= start else 1)
