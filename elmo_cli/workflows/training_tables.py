"""Tables with labels: read, checked and made into examples before TensorFlow is needed."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_cli.config import DataConfig, RunConfig
from elmo_cli.counts import counted
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.files import sha256
from elmo_cli.text.cells import labels_of, usable_rows
from elmo_cli.text.columns import resolve_column, resolve_columns, table_name
from elmo_cli.text.labels import LabelSet
from elmo_cli.text.preprocessor import Examples, Preprocessor
from elmo_cli.text.splits import stratified_split
from elmo_cli.text.tables import read_table

logger = logging.getLogger(__name__)

# What is counted of labels grows with the square of their number.
MOST_UNSEEN_LABELS = 1000
# More labels than that must have so many rows each, on average: else they are names, numbers or texts.
_MANY_LABELS, _LEAST_ROWS_OF_MANY = 1000, 5


@dataclass(frozen=True)
class LabelledTable:
    """A table and what training or evaluation needs of it.

    Args:
        rows: The table of N rows, unusable ones dropped where the user asked for it.
        examples: Its sentences.
        labels: Its N labels as they stand in the table.
        targets: int32 (N,), their class ids, -1 for a label that training never saw.
    """

    rows: pd.DataFrame
    examples: Examples
    labels: list[str]
    targets: NDArray[np.int32]


@dataclass(frozen=True)
class TrainingTables:
    """Everything that training is given.

    Args:
        preprocessor: Fitted on the training part.
        train: What is learned from.
        valid: What decides when to stop.
        test: What is evaluated once at the end, or None.
        valid_is_split: Whether the validation rows were split off the training table.
        hashes: SHA-256 of each file, by its path; not of pipes, which can be read only once.
    """

    preprocessor: Preprocessor
    train: LabelledTable
    valid: LabelledTable
    test: LabelledTable | None
    valid_is_split: bool
    hashes: dict[str, str]


def read_training_tables(config: RunConfig) -> TrainingTables:
    """Reads and checks the tables of a training.

    Args:
        config: The whole run.

    Returns:
        The tables, split and tokenised.

    Raises:
        ConfigError: Without a training table.
        DataError: If a table cannot be read or used; names file, row, column and the way out.
    """
    data = config.data
    if data.train is None:
        raise ConfigError(
            "Which table shall be learned from? Give it as the first argument, or as data.train."
        )
    table = read_table(data.train, data)
    # Found once, here; the other tables must have the same columns.
    columns = resolve_columns(table, data.text_column, data.label_column)
    data = replace(data, text_column=columns[0], label_column=columns[1])
    table = _usable(table, data)
    reading = replace(data, text_column=None, label_column=None)  # which columns there are, is known now
    others = {
        name: _usable(read_table(path, reading, expected_columns=columns), data)
        for name, path in (("valid", data.valid), ("test", data.test))
        if path is not None
    }
    labels = labels_of(table, columns[1])
    label_set = LabelSet.fit(labels, where=config.data.train or "")
    if label_set.num_classes > max(_MANY_LABELS, len(labels) // _LEAST_ROWS_OF_MANY):
        raise DataError(
            f'{data.train}: column "{columns[1]}" has {label_set.num_classes:,} labels for '
            f"{len(labels):,} rows, such as {label_set.names[0]!r}. Is this the right label column "
            f"(--label-column)? So many can be learned only with {_LEAST_ROWS_OF_MANY} rows of each, on "
            "average."
        )
    targets = label_set.encode(labels)
    train, valid_is_split = table, "valid" not in others
    if valid_is_split:
        if np.bincount(targets).max() < 2:
            raise DataError(
                f"{data.train}: each label comes once only, so that no row can be split off for validation. "
                "Give more rows, or a table of its own with --valid."
            )
        kept, held_out = stratified_split(targets, data.validation_fraction, config.seed)
        train, others = table.iloc[kept], {"valid": table.iloc[held_out], **others}
        logger.info("%s to learn from, %d split off for validation", counted(len(kept), "row"), len(held_out))
    preprocessor = Preprocessor.fit(train, data, config.text, list(others.values()))
    logger.info("%d classes: %s", preprocessor.label_set.num_classes, _listed(preprocessor.label_set.names))
    tables = {name: labelled_table(rows, preprocessor) for name, rows in {"train": train, **others}.items()}
    for name, labelled in tables.items():
        most = counted(preprocessor.max_tokens, "token")
        logger.info("%s: at most %s, %s", name, most, labelled.examples.cut)
        _check_known(name, labelled, preprocessor)
    paths = [path for path in (data.train, data.valid, data.test) if path is not None]
    return TrainingTables(
        preprocessor,
        tables["train"],
        tables["valid"],
        tables.get("test"),
        valid_is_split,
        {path: sha256(path) for path in paths if Path(path).is_file()},
    )


def read_labelled_table(path: Path, data: DataConfig, preprocessor: Preprocessor) -> LabelledTable:
    """Reads and checks a table on which a run is to be scored.

    Args:
        path: The table.
        data: How to read it; columns that are not given are those of the training.
        preprocessor: That of the run.

    Returns:
        The table, tokenised.

    Raises:
        DataError: If the table cannot be read, or a text column, label column or label is missing.
    """
    data = replace(
        data,
        text_column=data.text_column or preprocessor.text_column,
        label_column=data.label_column or preprocessor.label_column,
    )
    columns = str(data.text_column), str(data.label_column)
    expected = preprocessor.text_column, preprocessor.label_column
    table = _usable(read_table(path, data, expected_columns=expected), data, empty_texts=not data.drop_empty)
    text_column, label_column = resolve_columns(table, *columns)
    return labelled_table(table, replace(preprocessor, text_column=text_column, label_column=label_column))


def labelled_table(rows: pd.DataFrame, preprocessor: Preprocessor) -> LabelledTable:
    """Makes examples of a table; labels that training never saw get the target -1.

    Raises:
        DataError: If the table cannot be used, also for more than `MOST_UNSEEN_LABELS` labels of that kind.
    """
    column = resolve_column(rows, preprocessor.label_column, "label")
    labels = labels_of(rows, column)
    unseen = set(labels).difference(preprocessor.label_set.names)
    if len(unseen) > MOST_UNSEEN_LABELS:
        raise DataError(
            f'{table_name(rows)}: column "{column}" has {len(unseen):,} labels that training never saw, '
            f"among them {min(unseen)!r}. Is this the right label column (--label-column)?"
        )
    examples = preprocessor.transform(rows)
    return LabelledTable(rows, examples, labels, preprocessor.label_set.encode(labels))


def _usable(table: pd.DataFrame, data: DataConfig, *, empty_texts: bool = False) -> pd.DataFrame:
    text_column, label_column = resolve_columns(table, data.text_column, data.label_column)
    return usable_rows(
        table, text_column=None if empty_texts else text_column, label_column=label_column, data=data
    )


def _check_known(name: str, labelled: LabelledTable, preprocessor: Preprocessor) -> None:
    """Says how many rows have a label that the training rows lack, and refuses a table of nothing else."""
    unseen = int((labelled.targets < 0).sum())
    if unseen == len(labelled.labels):
        raise DataError(
            f"{labelled.rows.attrs.get('path', name)}: no row has a label that the training rows have "
            f"({_listed(preprocessor.label_set.names)}); its first label is {labelled.labels[0]!r}. "
            "Is this the right label column (--label-column)?"
        )
    if unseen:
        logger.warning("%s: rows with a label that the training rows lack: %d", name, unseen)


def _listed(names: tuple[str, ...], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
