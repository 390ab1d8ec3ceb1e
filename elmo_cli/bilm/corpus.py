"""Text files with one tokenised sentence a line → vocabulary and batches for a language model."""

import gzip
import itertools
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from elmo_cli.bilm.characters import PADDING, TOKEN_BEGIN, TOKEN_END, sentence_marks
from elmo_cli.errors import DataError

logger = logging.getLogger(__name__)

SENTENCE_BEGIN_WORD, SENTENCE_END_WORD, UNKNOWN_WORD = "<S>", "</S>", "<UNK>"
_POOL_SENTENCES = 60_000


def read_sentences(path: Path) -> Iterator[list[str]]:
    """Yields the tokens of each line that has any.

    Args:
        path: UTF-8 text, plain or .gz; tokens are separated by white space.

    Raises:
        DataError: If the file cannot be read or is not UTF-8; names file and line.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                tokens = line.decode("utf-8").split()
                if tokens:
                    yield tokens
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}, line {number}: not UTF-8 ({error.reason}). Convert the file, for example with iconv."
        ) from error
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}).") from error


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
    def build(cls, paths: Iterable[Path], size: int) -> "Vocabulary":
        """Counts the words of the files and keeps the most frequent.

        Args:
            paths: Files as `read_sentences` reads them.
            size: Most words, the three special ones included.

        Raises:
            DataError: If the files hold no token.
        """
        counts: Counter[str] = Counter()
        for path in paths:
            for tokens in read_sentences(path):
                counts.update(tokens)
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
        """Returns the ids of the tokens between the two sentence marks; unknown words get 2."""
        known: dict[str, int] = self._ids  # type: ignore[attr-defined]
        return [0, *(known.get(token.lower(), 2) for token in tokens), 1]


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


def equal_length_batches(
    paths: Sequence[Path],
    *,
    batch_tokens: Callable[[], int],
    max_tokens: int,
    lower_share: float,
    seed: int,
) -> Iterator[list[list[str]]]:
    """Goes over the text once, shuffled, in batches of sentences of exactly one length.

    Equal lengths need no padding and no mask. Longer sentences are cut into pieces.

    Args:
        paths: Files as `read_sentences` reads them.
        batch_tokens: Gives the tokens per batch; asked again for every pool of sentences. The number
            of sentences follows from their length.
        max_tokens: Most tokens of a sentence.
        lower_share: Share of the sentences that are lower-cased, in [0, 1].
        seed: Of files' order, sentences' order and lower-casing.

    Yields:
        Batches, each a list of token lists of one length.
    """
    rng = np.random.default_rng(seed)
    files = [paths[i] for i in rng.permutation(len(paths))]
    sentences = itertools.chain.from_iterable(read_sentences(path) for path in files)
    waiting: dict[int, list[list[str]]] = defaultdict(list)
    while pool := list(itertools.islice(sentences, _POOL_SENTENCES)):
        for i, tokens in enumerate(pool):
            if rng.random() < lower_share:
                pool[i] = tokens = [token.lower() for token in tokens]
            for start in range(0, len(tokens), max_tokens):
                piece = tokens[start : start + max_tokens]
                waiting[len(piece)].append(piece)
        batches = []
        for length in sorted(waiting):
            of_length = waiting[length]
            rows = max(1, batch_tokens() // (length + 1))
            order = rng.permutation(len(of_length))
            full = len(order) // rows * rows
            batches += [[of_length[i] for i in order[at : at + rows]] for at in range(0, full, rows)]
            waiting[length] = [of_length[i] for i in order[full:]]
        for i in rng.permutation(len(batches)):
            yield batches[i]
    rest = [of_length for of_length in waiting.values() if of_length]
    for i in rng.permutation(len(rest)):
        yield rest[i]


class NegativeSampler:
    """Draws words log-uniformly by rank, the same number of tries for every batch.

    Args:
        vocabulary_size: Number V of words, the most frequent first.
        num_tries: Draws with replacement per batch; 5,000 give about 2,200 distinct words of 30,000.
        seed: Of the draws.

    Reference: the log-uniform (Zipfian) sampler of `tf.random.log_uniform_candidate_sampler`.
    """

    def __init__(self, vocabulary_size: int, num_tries: int, seed: int) -> None:
        self.vocabulary_size = vocabulary_size
        self.num_tries = num_tries
        self._rng = np.random.default_rng(seed)
        rank = np.arange(vocabulary_size, dtype=np.float64)
        probability = np.log1p(1.0 / (rank + 1.0)) / np.log(vocabulary_size + 1.0)
        # A word is in the sample unless all tries miss it.
        self.log_expected = np.log(-np.expm1(num_tries * np.log1p(-probability))).astype(np.float32)

    def draw(self) -> np.ndarray:
        """Returns distinct word ids, int32 (K,), ascending; K varies a little."""
        tries = np.exp(self._rng.random(self.num_tries) * np.log(self.vocabulary_size + 1.0)) - 1.0
        return np.unique(np.minimum(tries.astype(np.int64), self.vocabulary_size - 1)).astype(np.int32)
