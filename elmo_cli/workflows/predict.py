"""A table → the same table with predictions, from a run directory."""

import contextlib
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_cli.classifier.saving import load, saved_elmo
from elmo_cli.elmo.embedder import load_embedder
from elmo_cli.elmo.source import resolve
from elmo_cli.errors import ConfigError, RunError
from elmo_cli.text.formats import Kind, TableFormat
from elmo_cli.text.preprocessor import Examples
from elmo_cli.text.table_writer import TableWriter
from elmo_cli.training.device import use_device
from elmo_cli.workflows.prediction_columns import added_columns, check_added_columns, with_predictions
from elmo_cli.workflows.run_directory import RunDirectory

logger = logging.getLogger(__name__)


class Predictor:
    """A trained run, ready to predict.

    Args:
        run: The run directory.
        proba: Whether to add one column per class with its probability.
        top_k: How many classes to add, the likeliest first, as ``predicted_2``, ``probability_2`` …
        prefix: Put in front of the names of the added columns.
        text_column: Name or number from 1 of the column with the texts; that of the training when absent.
        device: Where to compute; ``auto`` takes a GPU where there is one.

    Call arguments:
        table: Rows with the run's text column (a table of one column needs no particular name); labels
            are not needed.

    Returns:
        The same rows in the same order, every column kept, with the columns ``predicted`` (str) and
        ``probability`` (float32, 0 to 1) added, then those asked for.

    Raises:
        RunError: If the run is missing, unfinished or damaged, or its ELMo has changed.
        SourceError: If its ELMo is not available.
        DataError: If the table lacks the text column.
        ConfigError: If the table has a column of an added name already.
    """

    def __init__(
        self,
        run: str | Path,
        *,
        proba: bool = False,
        top_k: int = 1,
        prefix: str = "",
        text_column: str | None = None,
        device: Literal["auto", "cpu", "gpu"] = "auto",
    ) -> None:
        self.run = RunDirectory(Path(run))
        self.run.check_usable()
        self.config = self.run.read_config()
        self.preprocessor = self.run.read_preprocessor()
        if text_column is not None:
            self.preprocessor = replace(self.preprocessor, text_column=text_column)
        self.labels = self.preprocessor.label_set
        if not 1 <= top_k <= self.labels.num_classes:
            raise ConfigError(
                f"--top-k must be between 1 and the number of classes, {self.labels.num_classes}; "
                f"received {top_k}."
            )
        self.proba = proba
        self.top_k = top_k
        self.prefix = prefix
        use_device(device)
        saved = saved_elmo(self.run.model)
        self.classifier = load(self.run.model, load_embedder(resolve(saved.handle)))
        if self.classifier.classifier.num_classes != self.labels.num_classes:
            raise RunError(
                f"{self.run.path}: model and preprocessor.json do not belong together. Train it again."
            )

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Predicts; see the class."""
        check_added_columns(table, self._added())
        probabilities = self.probabilities(self.preprocessor.transform(table, labelled=False))
        return with_predictions(
            table, probabilities, self.labels, proba=self.proba, top_k=self.top_k, prefix=self.prefix
        )

    def probabilities(self, examples: Examples) -> NDArray[np.float32]:
        """Returns the probability of each class, float32 (N, C), for examples of the preprocessor."""
        vectors = self.classifier.encode(examples.sentences, batch_tokens=self.config.elmo.batch_tokens)
        return self.classifier.probabilities(vectors)

    def _added(self) -> list[str]:
        return added_columns(self.labels, proba=self.proba, top_k=self.top_k, prefix=self.prefix)


def load_run(run: str | Path) -> Predictor:
    """Loads a run directory; see `Predictor`."""
    return Predictor(run)


def predict_tables(
    predictor: Predictor, tables: Iterable[pd.DataFrame], target: Path | None, kind: Kind | None
) -> int:
    """Predicts piece by piece and writes each piece at once, in memory that does not grow with the rows.

    Args:
        predictor: The loaded run.
        tables: Pieces of one table, as `stream_table` gives them.
        target: File to write, or None for standard output.
        kind: Format to write; None stays as near as possible to what was read.

    Returns:
        Number of rows.

    Raises:
        DataError: If a piece cannot be read or written.
        ConfigError: If the format does not fit the target.
    """
    num_rows = 0
    with contextlib.ExitStack() as stack:
        writer: TableWriter | None = None
        for table in tables:
            if writer is None:
                layout: TableFormat = table.attrs["format"]
                writer = stack.enter_context(TableWriter(target, layout.for_output(kind)))
            writer.write(predictor(table))
            num_rows += len(table)
    return num_rows
