"""Texts → vectors, in Python or from a table to a file."""

import itertools
import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_cli.classifier.encoding import Encoder
from elmo_cli.classifier.pooling import MaskedPooling, MaskedTokens
from elmo_cli.config import ElmoConfig, PrecisionSetting, TextConfig
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.elmo.embedder import Embedder, load_embedder
from elmo_cli.elmo.scalar_mix import ScalarMix
from elmo_cli.elmo.source import resolve
from elmo_cli.errors import ConfigError
from elmo_cli.text.columns import find_text_column, with_string_names
from elmo_cli.text.preprocessor import TextReader
from elmo_cli.text.sentences import NO_LIMIT, CutReport, Sentences
from elmo_cli.workflows.hdf5_vectors import hdf5_vectors
from elmo_cli.workflows.npz_vectors import npz_vectors
from elmo_cli.workflows.parquet_vectors import parquet_vectors
from elmo_cli.workflows.predict import Predictor
from elmo_cli.workflows.vector_choice import VectorChoice
from elmo_cli.workflows.vector_file import EmbeddedRows, VectorKind, VectorLayout, Write

logger = logging.getLogger(__name__)

PIECE_BYTES = 1 << 27  # most that the vectors of the rows that are embedded together take


class Embedding:
    """An ELMo, ready to give the vectors of texts.

    Args:
        layers: Which layers; see `VectorChoice`, as for ``pool`` and ``dtype``. Without a run, ``mix`` is
            the plain average of the layers.
        pool: What is made of the vectors of a text's tokens.
        dtype: Type of the numbers.
        elmo: A handle as for ``elmo-train --elmo``; the bundled ELMo when absent. With a run: where its ELMo
            is now, if it was moved.
        run: A run directory whose ELMo, tokenizer, maximum length, text column and mix are taken; the mix
            that it learned is applied to the vectors as ELMo gives them, not standardised.
        text_column: Name or number from 1 of the column with the texts; that of the run, or found by its
            name when absent.
        tokenizer: ``treebank`` or ``whitespace``; that of the run, else treebank when absent.
        max_length: Most tokens kept of a text; that of the run, else no limit when absent.
        precision: Of ELMo's matrix products; as the run was configured, else float32 when absent.
        cache: Where pooled vectors are looked for first and kept afterwards.

    Attributes:
        source: The ELMo.

    Call arguments:
        table: N rows, possibly none.

    Returns:
        An array (N, P) or (N, layers, P); or where all tokens are kept, for each row an array (T, D) or
        (layers, T, D). An empty text counts as one empty token.

    Raises:
        ConfigError: For a choice that this ELMo does not allow.
        RunError: If the run is missing, unfinished or damaged, or its ELMo has changed.
        SourceError: If the ELMo is not available.
        DataError: If the table lacks the text column.
    """

    def __init__(
        self,
        *,
        layers: str = "mix",
        pool: str = "mean",
        dtype: str = "float32",
        elmo: str | None = None,
        run: str | Path | None = None,
        text_column: str | None = None,
        tokenizer: str | None = None,
        max_length: int | None = None,
        precision: PrecisionSetting | None = None,
        cache: EmbeddingCache | None = None,
    ) -> None:
        self.choice = VectorChoice(layers, pool, dtype)
        self.cache = cache
        self.text_column = text_column
        self.tokenizer = tokenizer or TextConfig().tokenizer
        self.max_tokens = max_length or NO_LIMIT
        self.mix = ScalarMix(trainable=False)
        if run is None:
            embedder = load_embedder(resolve(elmo or ElmoConfig().handle), precision or "float32")
        else:
            predictor = Predictor(run, elmo=elmo, precision=precision)
            embedder = predictor.classifier.embedder
            self.mix = predictor.classifier.classifier.mix
            trained = predictor.preprocessor
            self.text_column = text_column or trained.text_column
            self.tokenizer = tokenizer or trained.tokenizer_name
            self.max_tokens = max_length or trained.max_tokens
        self._prepare(embedder)

    def _prepare(self, embedder: Embedder) -> None:
        """Decides what the vectors look like."""
        self.source = embedder.source
        name, poolings = self.source.handle, self.choice.poolings
        self.choice.check_possible(name, num_layers=embedder.num_layers, token_level=embedder.token_level)
        self.encoder = Encoder(embedder, MaskedPooling(poolings) if poolings else MaskedTokens())
        shape = self.choice.shape(embedder.num_layers, embedder.dim)
        self.layout = VectorLayout(shape, np.dtype(self.choice.dtype))
        if not self.mix.built:
            self.mix.build((None, *self.encoder.shape))
        if self.choice.layers == "mix" and embedder.num_layers > 1:
            shares = ", ".join(f"{share:.3f}" for share in np.asarray(self.mix.shares()))
            logger.info("The layers count %s in the mix; gamma is %.3f", shares, float(self.mix.gamma))

    def __call__(self, table: pd.DataFrame) -> NDArray[Any] | list[NDArray[Any]]:
        """Embeds; see the class."""
        table = with_string_names(table)
        sentences = self.reader_for(table).transform(table).sentences
        pieces = [vectors for _, vectors in self.pieces(sentences)]
        return list(itertools.chain(*pieces)) if self.layout.by_token else np.concatenate(pieces)

    def reader_for(self, table: pd.DataFrame) -> TextReader:
        """Returns what turns the rows of a table into sentences.

        Args:
            table: The table, or the first piece of it.

        Raises:
            DataError: When no column has an obvious name and none was given.
        """
        # Without a name asked for, one is found or an error is raised.
        column = self.text_column or str(find_text_column(table, None))
        return TextReader(column, self.tokenizer, self.max_tokens)

    def pieces(self, sentences: Sentences) -> Iterator[tuple[slice, NDArray[Any] | list[NDArray[Any]]]]:
        """Embeds as many sentences at a time as memory allows.

        Args:
            sentences: N sentences; each distinct one of a piece is embedded once.

        Yields:
            Which of them, in order, and their vectors as `EmbeddedRows` has them; one piece at least.
        """
        for rows in self._rows_together(sentences.lengths):
            lengths = sentences.lengths[rows]
            # Those of tokens are too many to keep: they would throw out of the cache what trainings need.
            cache = None if self.layout.by_token else self.cache
            encoded = self.encoder(Sentences(sentences.texts[rows], lengths), cache=cache)
            vectors = self._chosen(encoded.vectors)
            if self.layout.by_token:
                chosen = zip(encoded.rows, lengths, strict=True)
                yield rows, [vectors[row][..., :length, :] for row, length in chosen]
            else:
                yield rows, vectors[encoded.rows]

    def _rows_together(self, lengths: NDArray[np.int32]) -> Iterator[slice]:
        """Divides rows so that their vectors, padded to the longest, take at most `PIECE_BYTES`."""
        start, longest = 0, 1
        for row, length in enumerate(lengths.tolist()):
            longest = max(longest, length)
            if row > start and (row + 1 - start) * self.encoder.row_bytes(longest) > PIECE_BYTES:
                yield slice(start, row)
                start, longest = row, length
        yield slice(start, len(lengths))

    def _chosen(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """Turns all layers, (M, L, ...), into those asked for or their mix."""
        numbers = self.choice.numbers
        if self.choice.layers == "mix":
            vectors = np.asarray(self.mix(vectors)) if len(vectors) else vectors[:, 0]
        elif numbers:
            vectors = vectors[:, numbers[0]] if len(numbers) == 1 else vectors[:, list(numbers)]
        with np.errstate(over="ignore"):
            chosen = vectors.astype(self.layout.dtype, copy=False)
        if not np.isfinite(chosen).all():
            half = self.choice.dtype == "float16" and np.isfinite(vectors).all()
            raise ConfigError(
                "--dtype float16: a vector is too large for half precision. Use --dtype float32."
                if half
                else "--layers mix: the mix of the layers is too large for a float32. Use --layers all."
            )
        return chosen


def embed_tables(
    embedding: Embedding, tables: Iterable[pd.DataFrame], target: Path, kind: VectorKind, *, prefix: str = ""
) -> CutReport:
    """Embeds piece by piece and writes each piece at once, in memory that does not grow with the rows.

    Args:
        embedding: What gives the vectors.
        tables: Pieces of one table, as `stream_table` gives them, at least one; it may have no rows.
        target: File to write; when an error or Ctrl-C comes in between, nothing is left there.
        kind: Its kind.
        prefix: Put in front of the names of columns that are added to Parquet.

    Returns:
        How many rows there were, and what the maximum length took away.

    Raises:
        DataError: If a piece cannot be read or written.
        ConfigError: If a column of an added name is there already, or a vector is too large for its type.
        RunError: If the file cannot be written.
    """
    tables = iter(tables)
    first = next(tables)
    reader = embedding.reader_for(first)
    report = CutReport(0, 0, 0, 0)
    with _vector_file(target, kind, embedding.layout, prefix) as write:
        for table in reader.with_texts(itertools.chain([first], tables)):
            examples = reader.transform(table)
            for rows, vectors in embedding.pieces(examples.sentences):
                texts, lengths = examples.sentences.texts[rows], examples.sentences.lengths[rows]
                write(EmbeddedRows(table.iloc[rows], Sentences(texts, lengths), vectors))
            report += examples.cut
    return report


def _vector_file(
    target: Path, kind: VectorKind, layout: VectorLayout, prefix: str
) -> AbstractContextManager[Write]:
    """Opens a file of that kind."""
    if kind == "npz":
        return npz_vectors(target, layout)
    return hdf5_vectors(target, layout) if kind == "hdf5" else parquet_vectors(target, layout, prefix)
