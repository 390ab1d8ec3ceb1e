"""A table → the same table with predictions, from a run directory."""

import contextlib
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_cli.classifier.saving import load, load_tfidf, saved_elmo
from elmo_cli.config import PrecisionSetting
from elmo_cli.counts import counted
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.elmo.embedder import load_embedder
from elmo_cli.elmo.source import resolve
from elmo_cli.errors import RunError, SourceError
from elmo_cli.text.columns import with_string_names
from elmo_cli.text.formats import Kind, TableFormat
from elmo_cli.text.preprocessor import Examples
from elmo_cli.text.sentences import Sentences
from elmo_cli.text.table_writer import TableWriter
from elmo_cli.workflows.prediction_columns import PredictionColumns
from elmo_cli.workflows.run_directory import RunDirectory

logger = logging.getLogger(__name__)

_LEAST_BYTES = 1 << 26  # of vectors in memory


class Predictor:
    """A trained run, ready to predict.

    Args:
        run: The run directory.
        proba: Whether to add one column per class, ``probability_of_LABEL``.
        top_k: How many classes to add, the likeliest first, as ``predicted_2``, ``probability_2`` …
        prefix: Put in front of the names of the added columns.
        text_column: Name or number from 1 of the column with the texts; that of the training when absent.
        elmo: Where the run's ELMo is now, if it was moved: a handle as for ``elmo-train --elmo``.
        precision: Of ELMo's matrix products; as the run was configured when absent.
        cache: Where embeddings are looked for first and kept afterwards.

    Call arguments:
        table: Rows with the run's text column (a table of one column needs no particular name), any index,
            possibly no rows; labels are not needed, an empty text gets a prediction too.

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
        elmo: str | None = None,
        precision: PrecisionSetting | None = None,
        cache: EmbeddingCache | None = None,
    ) -> None:
        self.run = RunDirectory(Path(run))
        self.run.check_usable()
        self.config = self.run.read_config()
        self.preprocessor = self.run.read_preprocessor()
        if text_column is not None:
            self.preprocessor = replace(self.preprocessor, text_column=text_column)
        self.labels = self.preprocessor.label_set
        self.columns = PredictionColumns(proba, top_k, prefix)
        self.columns.check_top_k(self.labels)
        # A run that changed its ELMo, or was told to, contains it, and takes it along when it is moved.
        handle = elmo or self._own_elmo() or saved_elmo(self.run.model).handle
        try:
            embedder = load_embedder(resolve(handle), precision or self.config.elmo.precision)
        except SourceError as error:
            if elmo is not None:
                raise
            raise SourceError(self._without_elmo(handle, error)) from error
        trained_in = self.run.read_record().get("precision", "float32")
        if embedder.precision != trained_in and precision in (None, "auto"):
            logger.info(
                "The run was trained on vectors computed in %s; here they are computed in %s, and "
                "probabilities may differ a little. --precision %s does as in training.",
                trained_in,
                embedder.precision,
                trained_in,
            )
        self.cache = cache
        self.classifier = load(self.run.model, embedder)
        self.tfidf = load_tfidf(self.run.model)
        if self.classifier.classifier.num_classes != self.labels.num_classes:
            raise RunError(
                f"{self.run.path}: model and preprocessor.json do not belong together. Train it again."
            )

    def _own_elmo(self) -> str | None:
        """Returns the handle of the ELMo in the run directory; None where it has none."""
        if self.run.own_elmo.is_dir():
            return str(self.run.own_elmo)
        return str(self.run.elmo) if self.config.elmo.adapt else None

    def _without_elmo(self, handle: str, error: SourceError) -> str:
        """Returns what to say where a run's ELMo is not to be had."""
        if handle != str(self.run.own_elmo) or self.run.read_record().get("fine_tuned"):
            return (
                f"{self.run.path} was trained on an ELMo that is not there any more, or is damaged: "
                f"{handle}. Fetch it again, or say where it is now with --elmo. {error}"
            )
        first = saved_elmo(self.run.model).handle
        return (
            f"{self.run.path} has lost a part of the ELMo that it contains, or it is damaged. That was a "
            f"copy of {first}: give that with --elmo (elmo-fetch brings a public one). {error}"
        )

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """Predicts; see the class."""
        self.columns.check_free(table, self.labels)
        # The names that the run knows are strings.
        probabilities = self.probabilities(self.preprocessor.transform(with_string_names(table)))
        return self.columns.add(table, probabilities, self.labels)

    def probabilities(self, examples: Examples) -> NDArray[np.float32]:
        """Returns the probability of each class, float32 (N, C), for examples of the preprocessor."""
        texts, lengths = examples.sentences.texts, examples.sentences.lengths
        row_bytes = self.classifier.encoder.row_bytes(int(lengths.max(initial=1)))
        # Training keeps in a file what is more than it may; here it would be text by text.
        step = max(1, max(self.config.elmo.memory_bytes, _LEAST_BYTES) // row_bytes)
        parts = [np.empty((0, self.labels.num_classes), np.float32)]
        for start in range(0, len(texts), step):
            sentences = Sentences(texts[start : start + step], lengths[start : start + step])
            encoded = self.classifier.encode(
                sentences, batch_tokens=self.config.elmo.batch_tokens, cache=self.cache
            )
            probabilities = self.classifier.probabilities(encoded)
            if self.tfidf is not None:
                probabilities = self.tfidf.join(probabilities, sentences.texts)
            parts.append(probabilities)
        return np.concatenate(parts)


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
        target: File to write, or None for standard output. When an error or Ctrl-C comes in between, the
            finished rows stay as ``TARGET.part`` (not those of Parquet).
        kind: Format to write; None stays as near as possible to what was read. ``lines`` writes the
            predicted label alone, one a line.

    Returns:
        Number of rows.

    Raises:
        DataError: If a piece cannot be read or written.
        ConfigError: If the format does not fit the target.
    """
    num_rows = num_empty = 0
    with contextlib.ExitStack() as stack:
        writer: TableWriter | None = None
        for table in predictor.preprocessor.with_texts(tables):
            if writer is None:
                writer = stack.enter_context(TableWriter(target, output_layout(table, kind), keep_part=True))
            result = predictor(table)
            writer.write(
                result[[predictor.columns.names(predictor.labels)[0]]] if kind == "lines" else result
            )
            num_rows += len(table)
            num_empty += predictor.preprocessor.reader.num_empty(table)
    if num_empty:
        logger.info("%s without text: what is predicted for it says nothing", counted(num_empty, "row"))
    return num_rows


def output_layout(table: pd.DataFrame, kind: Kind | None) -> TableFormat:
    """Returns how predictions for a table of `stream_table` are written; see `predict_tables`."""
    if kind == "lines":
        return TableFormat("tsv", "\t", quoting=False, header=False)
    layout: TableFormat = table.attrs["format"]
    return layout.for_output(kind)
