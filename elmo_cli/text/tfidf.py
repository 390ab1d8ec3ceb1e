"""Words, pairs of words and parts of words as sparse vectors: what a text says, whatever its context."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

MANY_ROWS = 1000  # from so many rows on, an n-gram of one row alone is left out: it says nothing of others
MOST_WORD_NGRAMS, MOST_CHARACTER_NGRAMS = 200_000, 100_000
CHARACTERS = (2, 3, 4, 5)
# With more rows than this words are seen often enough, and their parts would take ten times the memory.
MOST_ROWS_OF_CHARACTERS = 50_000
CHUNK_ROWS = 4096
ROWS_MULTIPLIED = 128
# In front of an n-gram of characters. No n-gram of words begins with a blank.
MARK = " "
Texts = Sequence[str] | NDArray[np.object_]  # space-joined, as in `Sentences`


def word_ngrams(text: str) -> list[str]:
    """Returns the lower-cased tokens of a space-joined text, then each two neighbours joined by a space."""
    tokens = _tokens(text)
    return tokens + [f"{left} {right}" for left, right in itertools.pairwise(tokens)]


def character_ngrams(token: str) -> list[str]:
    """Returns the parts of 2 to 5 characters of a token between two blanks, each with `MARK` in front."""
    padded = f" {token} "
    return [
        MARK + padded[start : start + size] for size in CHARACTERS for start in range(len(padded) - size + 1)
    ]


def _tokens(text: str) -> list[str]:
    return text.lower().split(" ") if text else []


@dataclass(frozen=True)
class Tfidf:
    """Turns space-joined texts into sparse rows; empty where no n-gram is known.

    There are n-grams of words and n-grams of the characters within a word. One that a text has c times weighs
    (1 + ln c) · idf, and those of either kind are brought to the length 1 for themselves. Nothing but
    splitting, lower case and a table is needed, so that the same can be computed inside a graph.

    Args:
        vocabulary: The V n-grams, sorted; those of characters with `MARK` in front.
        idf: float32 (V,): ln((1 + N) / (1 + df)) + 1 for an n-gram in df of the N training rows.

    Reference:
        scikit-learn's ``TfidfVectorizer(sublinear_tf=True)`` with ``ngram_range=(1, 2)``, tokens split at
        spaces, beside one with ``analyzer="char_wb", ngram_range=(2, 5)``, which also counts words that are
        shorter as a whole.
    """

    vocabulary: tuple[str, ...]
    idf: NDArray[np.float32]

    @classmethod
    def fit(cls, texts: Texts) -> Self:
        """Takes the n-grams of the training rows, the most frequent of either kind where there are too many.

        Args:
            texts: Space-joined, of N rows; with more than `MOST_ROWS_OF_CHARACTERS` words alone are taken.

        Returns:
            With an empty vocabulary where no text has a word.
        """
        rows_with_words = Counter(ngram for text in texts for ngram in set(word_ngrams(text)))
        parts: dict[str, frozenset[str]] = {}
        rows_with_parts: Counter[str] = Counter()
        for text in texts if len(texts) <= MOST_ROWS_OF_CHARACTERS else ():
            of_text: set[str] = set()
            for token in set(_tokens(text)):
                if token not in parts:
                    parts[token] = frozenset(character_ngrams(token))
                of_text |= parts[token]
            rows_with_parts.update(of_text)
        least = 2 if len(texts) >= MANY_ROWS else 1
        kept = [
            *_most_frequent(rows_with_words, least, MOST_WORD_NGRAMS),
            *_most_frequent(rows_with_parts, least, MOST_CHARACTER_NGRAMS),
        ]
        vocabulary = tuple(sorted(kept))
        counts = np.array([rows_with_words[one] or rows_with_parts[one] for one in vocabulary], np.float64)
        return cls(vocabulary, (np.log((1 + len(texts)) / (1 + counts)) + 1).astype(np.float32))

    @cached_property
    def of_characters(self) -> NDArray[np.bool_]:
        """Which n-grams are of characters, (V,)."""
        return np.array([ngram.startswith(MARK) for ngram in self.vocabulary], np.bool_)

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {ngram: column for column, ngram in enumerate(self.vocabulary)}

    def transform(self, texts: Texts) -> Any:
        """Returns ``scipy.sparse.csr_matrix`` float32 (N, V) for N space-joined texts."""
        from scipy import sparse  # type: ignore[import-untyped]

        chunks = list(self._chunks(texts, CHUNK_ROWS))
        # Where each row ends, in the whole
        lengths = np.concatenate([[0], *(np.diff(ends) for _, _, ends in chunks)])
        entries = (np.concatenate([chunk[part] for chunk in chunks]) for part in (0, 1))
        return sparse.csr_matrix((*entries, lengths.cumsum()), shape=(len(texts), len(self.vocabulary)))

    def multiply(self, texts: Texts, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns ``transform(texts) @ kernel``, without SciPy, which takes long to load.

        Args:
            texts: Space-joined, of N rows.
            kernel: float32 (V, C).

        Returns:
            float32 (N, C).
        """
        products = [np.empty((0, kernel.shape[1]), np.float32)]
        for values, columns, ends in self._chunks(texts, ROWS_MULTIPLIED):
            product = np.zeros((len(ends) - 1, kernel.shape[1]), np.float32)
            if filled := np.flatnonzero(np.diff(ends)).tolist():
                product[filled] = np.add.reduceat(values[:, None] * kernel[columns], ends[filled], axis=0)
            products.append(product)
        return np.concatenate(products)

    def _chunks(
        self, texts: Texts, num_rows: int
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]]:
        """Yields values, columns and ends (rows + 1,) of some rows at a time, as a CSR matrix has them."""
        parts: dict[str, list[int]] = {}  # columns of each word's, once for all texts
        for start in range(0, max(1, len(texts)), num_rows):
            yield self._entries(texts[start : start + num_rows], parts)

    def _entries(
        self, texts: Texts, parts: dict[str, list[int]]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
        found: list[int] = []
        counts: list[int] = []
        last = [0]
        for text in texts:
            known = Counter(self._known(word_ngrams(text)))
            for token in _tokens(text):
                if token not in parts:
                    parts[token] = list(self._known(character_ngrams(token)))
                known.update(parts[token])
            found += known.keys()
            counts += known.values()
            last.append(len(found))
        columns, ends = np.array(found, np.int32), np.array(last, np.int64)
        values = (1 + np.log(np.array(counts, np.float32))) * self.idf[columns]
        # Either kind of each row to length 1; a row without entries stays empty.
        kinds = 2 * np.repeat(np.arange(len(texts)), np.diff(ends)) + self.of_characters[columns]
        lengths = np.sqrt(np.bincount(kinds, values**2, minlength=2 * len(texts)))
        return (values / lengths[kinds]).astype(np.float32), columns, ends

    def _known(self, ngrams: Iterable[str]) -> Iterable[int]:
        return (self._columns[ngram] for ngram in ngrams if ngram in self._columns)


def _most_frequent(rows_with: Counter[str], least: int, most: int) -> list[str]:
    kept = [ngram for ngram, count in rows_with.items() if count >= least]
    kept.sort(key=lambda ngram: (-rows_with[ngram], ngram))
    return kept[:most]
