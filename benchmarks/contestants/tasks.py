"""What every contestant of quality.py is given: rows to learn from and rows to be asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from elmo_cli.files import sha256
from elmo_cli.text.labels import LabelSet
from elmo_cli.text.splits import stratified_split

COLUMNS = ["text", "label"]
ALL = "all"  # a size beside numbers: every training row


@dataclass(frozen=True)
class Task:
    """One draw.

    Args:
        train: Rows to learn from, with the columns text and label.
        test: Rows to be asked about, with the same columns.
        seed: Of the draw, and of all that a contestant leaves to chance.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    seed: int

    def accuracy(self, predicted: Sequence[str] | np.ndarray) -> float:
        """Returns the share of test rows predicted right; labels that training never saw count as wrong."""
        return float((np.asarray(predicted) == self.test["label"].to_numpy()).mean())


class Dataset:
    """A folder with train.csv and test.csv, which have the columns text and label.

    Args:
        folder: It; its name is that of the set.
    """

    def __init__(self, folder: Path) -> None:
        files = [folder / "train.csv", folder / "test.csv"]
        self.name = folder.resolve().name
        self.fingerprint = "-".join(sha256(file)[:12] for file in files)
        self.train, self.test = map(read_rows, files)

    def sizes(self, wanted: Sequence[str]) -> list[str]:
        """Returns those of some sizes that the set has: numbers below that of its rows, and ``all``."""
        return [size for size in wanted if size == ALL or int(size) < len(self.train)]

    def task(self, size: str, seed: int) -> Task:
        """Draws training rows, each class in proportion, in the order of the table.

        Args:
            size: How many; one of `sizes`.
            seed: Decides which. Every contestant gets the same ones.
        """
        rows = self.train
        if size != ALL:
            labels = list(rows["label"])
            targets = LabelSet.fit(labels).encode(labels)
            rows = rows.iloc[stratified_split(targets, int(size) / len(rows), seed)[1]]
        return Task(rows, self.test, seed)


def read_rows(path: Path) -> pd.DataFrame:
    """Reads texts and labels of a CSV table as they stand: "NA" and numbers are texts, too."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8", usecols=COLUMNS)[COLUMNS]
