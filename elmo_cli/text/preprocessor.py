"""From tables to examples: everything about words and labels that training decides once."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from elmo_cli.config import DataConfig, TextConfig
from elmo_cli.errors import RunError
from elmo_cli.text.cells import labels_of, texts_of, usable_rows
from elmo_cli.text.columns import resolve_column, table_name
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
        targets: int32 (N,), class ids, -1 for a label that training never saw; None without labels.
        cut: What the limit of the length took away.
    """

    sentences: Sentences
    targets: npt.NDArray[np.int32] | None
    cut: CutReport


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
        text_column = resolve_column(train, data.text_column, "text")
        label_column = resolve_column(train, data.label_column, "label")
        train = usable_rows(train, text_column=text_column, label_column=label_column, data=data)
        label_set = LabelSet.fit(labels_of(train, label_column), where=table_name(train))
        measured = [train, *more] if text.max_length_from == "all" else [train]
        joined = [tokenizer(text.tokenizer).join_all(texts_of(df, text_column)) for df in measured]
        max_tokens = choose_max_tokens(
            np.concatenate([token_counts(texts) for texts in joined]), text.max_length
        )
        return cls(text_column, label_column, text.tokenizer, max_tokens, label_set)

    def transform(self, df: pd.DataFrame, *, labelled: bool) -> Examples:
        """Turns rows into examples.

        Args:
            df: N rows; a table of plain lines or of one column needs no particular column name.
            labelled: Whether targets are wanted; every row must have a label then.

        Returns:
            The N examples; an empty text is one empty token.

        Raises:
            DataError: When a column or a label is missing.
        """
        texts = texts_of(df, self._text_column(df))
        joined = tokenizer(self.tokenizer_name).join_all(texts)
        targets = None
        if labelled:
            label_column = resolve_column(df, self.label_column, "label")
            targets = self.label_set.encode(labels_of(df, label_column))
        report = cut_report(token_counts(joined), self.max_tokens)
        return Examples(cut(joined, self.max_tokens), targets, report)

    def cut_report(self, df: pd.DataFrame) -> CutReport:
        """Returns how many rows and tokens `transform` cuts; its examples hold the same report."""
        return self.transform(df, labelled=False).cut

    def _text_column(self, df: pd.DataFrame) -> str:
        if df.shape[1] == 1 and self.text_column not in df.columns:
            return str(df.columns[0])
        return resolve_column(df, self.text_column, "text")

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
