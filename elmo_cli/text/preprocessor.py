"""From tables to examples: everything about words and labels that training decides once."""

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from elmo_cli.config import DataConfig, TextConfig
from elmo_cli.errors import DataError, RunError
from elmo_cli.text.cells import labels_of, texts_of, usable_rows
from elmo_cli.text.columns import find_text_column, resolve_column, resolve_columns, table_name
from elmo_cli.text.labels import LabelSet
from elmo_cli.text.sentences import CutReport, Sentences, choose_max_tokens, cut, cut_report, token_counts
from elmo_cli.text.tokens import tokenizer

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Examples:
    """Rows ready for the model.

    Args:
        sentences: The N sentences.
        cut: What the limit of the length took away.
    """

    sentences: Sentences
    cut: CutReport


@dataclass(frozen=True)
class TextReader:
    """Turns the texts of a table into sentences.

    Args:
        text_column: Name of the column with the texts, or its number from 1.
        tokenizer_name: Name of the tokenizer.
        max_tokens: Tokens kept of a text, at least 1.
    """

    text_column: str
    tokenizer_name: str
    max_tokens: int

    def transform(self, df: pd.DataFrame) -> Examples:
        """Turns rows into examples.

        Args:
            df: N rows.

        Returns:
            The N examples; an empty text is one empty token.

        Raises:
            DataError: When the text column is missing (see `find_text_column`), or a cell holds no text.
        """
        column = self.text_column_of(df)
        texts = [""] * len(df) if column is None else texts_of(df, column)
        joined = tokenizer(self.tokenizer_name).join_all(texts)
        return Examples(cut(joined, self.max_tokens), cut_report(token_counts(joined), self.max_tokens))

    def text_column_of(self, df: pd.DataFrame) -> str | None:
        """Finds the column with the texts; see `find_text_column`."""
        return find_text_column(df, self.text_column)

    def num_empty(self, df: pd.DataFrame) -> int:
        """Counts the rows of a table whose text is missing or blank."""
        column = self.text_column_of(df)
        return len(df) if column is None else sum(not text.strip() for text in texts_of(df, column))

    def with_texts(self, tables: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Passes pieces of one table on.

        Args:
            tables: The pieces, as `stream_table` gives them.

        Yields:
            The same pieces.

        Raises:
            DataError: After the last piece, when none of them had the text column.
        """
        last, found = None, False
        for last in tables:
            found = found or self.text_column_of(last) is not None
            yield last
        if last is not None and not found:
            resolve_column(last, self.text_column, "text")
            # Its own rows may have more columns than the first row, by which numbers are told.
            raise DataError(
                f'{table_name(last)}: no row has the column "{self.text_column}". Name it with --text-column.'
            )


@dataclass(frozen=True)
class Preprocessor:
    """Turns tables into examples, in the same way for training, evaluation and prediction.

    Args:
        text_column: Name of the column with the texts.
        label_column: Name of the column with the labels.
        tokenizer_name: Name of the tokenizer.
        max_tokens: Tokens kept of a text, at least 1.
        label_set: The classes.
    """

    text_column: str
    label_column: str
    tokenizer_name: str
    max_tokens: int
    label_set: LabelSet

    @classmethod
    def fit(
        cls, train: pd.DataFrame, data: DataConfig, text: TextConfig, more: Sequence[pd.DataFrame] = ()
    ) -> Self:
        """Decides columns, classes and maximum length.

        Args:
            train: The training rows.
            data: Columns, and whether rows without text or label are dropped.
            text: Tokenizer and policy of the maximum length.
            more: Further tables; their lengths count when ``text.max_length_from`` is ``all``.

        Returns:
            The preprocessor.

        Raises:
            DataError: When a column, a label or a text is missing, or there is one class only.
            ConfigError: For an unknown policy.
        """
        text_column, label_column = resolve_columns(train, data.text_column, data.label_column)
        train = usable_rows(train, text_column=text_column, label_column=label_column, data=data)
        label_set = LabelSet.fit(labels_of(train, label_column), where=table_name(train))
        measured = [train, *more] if text.max_length_from == "all" else [train]
        joined = [tokenizer(text.tokenizer).join_all(texts_of(df, text_column)) for df in measured]
        max_tokens = choose_max_tokens(
            np.concatenate([token_counts(texts) for texts in joined]), text.max_length
        )
        return cls(text_column, label_column, text.tokenizer, max_tokens, label_set)

    @property
    def reader(self) -> TextReader:
        """What it knows of texts alone."""
        return TextReader(self.text_column, self.tokenizer_name, self.max_tokens)

    def transform(self, df: pd.DataFrame) -> Examples:
        """Turns rows into examples; labels are not needed, see `TextReader.transform`."""
        return self.reader.transform(df)

    def text_column_of(self, df: pd.DataFrame) -> str | None:
        """Finds the column with the texts; see `TextReader.text_column_of`."""
        return self.reader.text_column_of(df)

    def with_texts(self, tables: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Passes pieces of one table on; see `TextReader.with_texts`."""
        return self.reader.with_texts(tables)

    def to_json(self) -> str:
        """Returns the preprocessor as JSON that `from_json` reads back to an equal one."""
        fields = {
            "format_version": FORMAT_VERSION,
            "text_column": self.text_column,
            "label_column": self.label_column,
            "tokenizer": self.tokenizer_name,
            "max_tokens": self.max_tokens,
            "labels": list(self.label_set.names),
        }
        return json.dumps(fields, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote; raises RunError for anything else."""
        try:
            fields = json.loads(text)
            version = fields["format_version"]
            if version == FORMAT_VERSION:
                return cls(
                    text_column=str(fields["text_column"]),
                    label_column=str(fields["label_column"]),
                    tokenizer_name=tokenizer(fields["tokenizer"]).name,
                    max_tokens=int(fields["max_tokens"]),
                    label_set=LabelSet(tuple(map(str, fields["labels"]))),
                )
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(
                f"preprocessor.json is damaged ({type(error).__name__}: {error}). Train the run again."
            ) from error
        raise RunError(
            f"preprocessor.json has format version {version}; this version of elmo-cli reads "
            f"{FORMAT_VERSION}. Use the version that wrote the run, or train again."
        )
