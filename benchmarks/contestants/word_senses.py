"""Sentences in which one ambiguous word decides the label, and what its vector alone can tell."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from contestants.tasks import read_rows
from elmo_cli.text.labels import LabelSet
from elmo_cli.text.sentences import Sentences, token_counts
from elmo_cli.text.splits import stratified_split
from elmo_cli.text.tokens import tokenizer

# fmt: off
WORDS = (
    "bank", "bear", "bill", "branch", "bug", "charge", "cloud", "crane", "current", "deposit", "field",
    "float", "fly", "hedge", "leaves", "log", "mouse", "plant", "pool", "rose", "stock", "stream", "tick",
    "web",
)
# fmt: on
TEST_SHARE = 0.25
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Senses:
    """The N sentences of the set.

    Args:
        table: Their texts and labels.
        sentences: Their tokens.
        targets: Class ids of the labels, int32 (N,).
        words: The ambiguous word of each, as its number in `WORDS`, int32 (N,).
        places: Which token that word is, int64 (N,).
    """

    table: pd.DataFrame
    sentences: Sentences
    targets: NDArray[np.int32]
    words: NDArray[np.int32]
    places: NDArray[np.int64]

    def split(self, seed: int) -> tuple[Rows, Rows]:
        """Returns the rows to learn from and the others; both hold each word as often in either sense."""
        return stratified_split(2 * self.words + self.targets, TEST_SHARE, seed)


def read_senses(folder: Path) -> Senses:
    """Reads train.csv and test.csv; raises SystemExit where a sentence has not exactly one of `WORDS`."""
    table = pd.concat([read_rows(folder / name) for name in ("train.csv", "test.csv")], ignore_index=True)
    joined = tokenizer("treebank").join_all(list(table["text"]))
    found = [
        [(WORDS.index(token), place) for place, token in enumerate(text.lower().split()) if token in WORDS]
        for text in joined
    ]
    if odd := [text for text, words in zip(joined, found, strict=True) if len(words) != 1]:
        raise SystemExit(f"{folder}: there must be exactly one of the ambiguous words in {odd[0]!r}")
    words, places = np.array(found)[:, 0].T
    labels = list(table["label"])
    return Senses(
        table,
        Sentences(np.array(joined, object), token_counts(joined)),
        LabelSet.fit(labels).encode(labels),
        words.astype(np.int32),
        places,
    )


def nearest_sense(vectors: NDArray[Any], senses: Senses, train: Rows, test: Rows) -> float:
    """Returns the share of words whose vector is nearer to the mean of their own sense than to the other one.

    Args:
        vectors: Of the ambiguous words, floats (N, D).
        senses: The sentences.
        train: Rows of which the means are taken.
        test: Rows to be asked about; one as near to both means counts half.
    """
    exact = vectors.astype(np.float64)
    units = exact / np.linalg.norm(exact, axis=1, keepdims=True)
    right = []
    for row in test:
        same_word = train[senses.words[train] == senses.words[row]]
        is_own = senses.targets[same_word] == senses.targets[row]
        means = [units[same_word[chosen]].mean(axis=0) for chosen in (is_own, ~is_own)]
        own, other = (units[row] @ mean / np.linalg.norm(mean) for mean in means)  # cosines
        right.append(0.5 if abs(own - other) < 1e-6 else float(own > other))
    return float(np.mean(right))
