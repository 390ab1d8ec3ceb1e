"""Words and pairs of words as sparse vectors: what a text says, whatever its context."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

MANY_ROWS = 1000  # from so many rows on, an n-gram of one row alone is left out: it says nothing of others
MOST_NGRAMS = 200_000
Texts = Sequence[str] | NDArray[np.object_]  # space-joined, as in `Sentences`


def ngrams(text: str) -> list[str]:
    """Returns the lower-cased tokens of a space-joined text, then each two neighbours joined by a space."""
    tokens = text.lower().split(" ") if text else []
    return tokens + [f"{left} {right}" for left, right in itertools.pairwise(tokens)]


@dataclass(frozen=True)
class Tfidf:
    """Turns space-joined texts into sparse rows of length 1; empty where no n-gram is known.

    An n-gram that a text has c times weighs (1 + ln c) · idf. Nothing but splitting at spaces, lower case
    and a table is needed, so that the same can be computed inside a graph.

    Args:
        vocabulary: The V n-grams, sorted.
        idf: float32 (V,): ln((1 + N) / (1 + df)) + 1 for an n-gram in df of the N training rows.

    Reference:
        scikit-learn's ``TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)``, tokens split at spaces.
    """

    vocabulary: tuple[str, ...]
    idf: NDArray[np.float32]

    @classmethod
    def fit(cls, texts: Texts) -> Self:
        """Takes the n-grams of the training rows, the `MOST_NGRAMS` most frequent where there are more.

        Args:
            texts: Space-joined, of N rows.

        Returns:
            With an empty vocabulary where no text has a word.
        """
        num_rows_with = Counter(ngram for text in texts for ngram in set(ngrams(text)))
        kept = [ngram for ngram, count in num_rows_with.items() if count > 1 or len(texts) < MANY_ROWS]
        kept.sort(key=lambda ngram: (-num_rows_with[ngram], ngram))
        vocabulary = tuple(sorted(kept[:MOST_NGRAMS]))
        counts = np.array([num_rows_with[ngram] for ngram in vocabulary], np.float64)
        return cls(vocabulary, (np.log((1 + len(texts)) / (1 + counts)) + 1).astype(np.float32))

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {ngram: column for column, ngram in enumerate(self.vocabulary)}

    def transform(self, texts: Texts) -> Any:
        """Returns ``scipy.sparse.csr_matrix`` float32 (N, V) for N space-joined texts."""
        from scipy import sparse  # type: ignore[import-untyped]

        columns: list[int] = []
        counts: list[int] = []
        ends = [0]
        for text in texts:
            known = Counter(self._columns[ngram] for ngram in ngrams(text) if ngram in self._columns)
            columns += known.keys()
            counts += known.values()
            ends.append(len(columns))
        values = (1 + np.log(np.array(counts, np.float32))) * self.idf[columns]
        # Each row to length 1; a row without entries stays empty.
        rows = np.repeat(np.arange(len(texts)), np.diff(ends))
        lengths = np.sqrt(np.bincount(rows, values**2, minlength=len(texts)))
        values = (values / lengths[rows]).astype(np.float32)
        return sparse.csr_matrix((values, columns, ends), shape=(len(texts), len(self.vocabulary)))
