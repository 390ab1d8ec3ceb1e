"""The sentences that contestants encode, and the batches that they make of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from elmo_cli.text.tokens import tokenizer

Batch = TypeVar("Batch")


def sample_texts(folders: Sequence[Path], count: int, *, seed: int = 0) -> list[str]:
    """Draws texts from the training tables of several sets, mixed, and tokenises them as elmo-train does.

    Args:
        folders: Each holds train.csv with a column text.
        count: Number of texts.
        seed: Seed of the draw.

    Returns:
        Texts, their tokens joined by single spaces.
    """
    texts = [text for folder in folders for text in pd.read_csv(folder / "train.csv", dtype=str)["text"]]
    if len(texts) < count:
        raise SystemExit(f"{len(texts)} texts in {', '.join(map(str, folders))}; {count} are needed.")
    chosen = np.random.default_rng(seed).permutation(len(texts))[:count]
    return tokenizer("treebank").join_all([texts[i] for i in chosen])


def num_tokens(texts: Sequence[str]) -> int:
    """Counts the tokens of space-joined texts."""
    return sum(text.count(" ") + 1 for text in texts)


def batches(texts: Sequence[str], rows: int, *, by_length: bool = False) -> list[list[str]]:
    """Cuts texts into batches of so many rows, as they stand or the longest first."""
    ordered = sorted(texts, key=lambda text: -text.count(" ")) if by_length else texts
    return [list(ordered[start : start + rows]) for start in range(0, len(ordered), rows)]


def spread(all_batches: Sequence[Batch], count: int, *, seed: int = 0) -> list[Batch]:
    """Draws batches at equal distances from a random start, so that long and short ones keep their shares."""
    if count >= len(all_batches):
        return list(all_batches)
    distance = len(all_batches) / count
    start = np.random.default_rng(seed).uniform(0, distance)
    return [all_batches[int(start + i * distance)] for i in range(count)]
