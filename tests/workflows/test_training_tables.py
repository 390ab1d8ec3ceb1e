"""Tables are read, split and checked before anything is trained."""

from pathlib import Path

import pandas as pd
import pytest
from tiny_run import write_csv

from elmo_cli.config import DataConfig, RunConfig, TextConfig
from elmo_cli.errors import ConfigError, DataError
from elmo_cli.files import sha256
from elmo_cli.workflows.training_tables import read_labelled_table, read_training_tables

ROWS = [(f"word{n} and more", "ab"[n % 2]) for n in range(20)]


def config(path: Path, **data: object) -> RunConfig:
    return RunConfig(data=DataConfig(train=str(path), **data))  # type: ignore[arg-type]


def test_rows_are_split_by_class_and_seed(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "t.csv", ROWS)
    tables = read_training_tables(config(path, validation_fraction=0.3))
    assert tables.valid_is_split
    assert (len(tables.train.labels), len(tables.valid.labels)) == (14, 6)
    assert sorted(tables.valid.labels) == ["a"] * 3 + ["b"] * 3
    together = pd.concat([tables.train.rows, tables.valid.rows])["text"]
    assert sorted(together) == sorted(text for text, _ in ROWS)
    assert tables.hashes == {str(path): sha256(path)}


def test_a_validation_table_of_ones_own_leaves_training_whole(tmp_path: Path) -> None:
    train, valid = write_csv(tmp_path / "t.csv", ROWS), write_csv(tmp_path / "v.csv", ROWS[:2])
    tables = read_training_tables(config(train, valid=str(valid)))
    assert not tables.valid_is_split
    assert (len(tables.train.labels), len(tables.valid.labels)) == (20, 2)
    assert tables.train.targets.tolist() == [0, 1] * 10


def test_columns_found_in_training_are_wanted_of_the_other_tables(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "t.csv", [(b, a) for a, b in ROWS], header=("topic", "headline"))
    test = write_csv(tmp_path / "test.csv", ROWS[:2], header=("text", "topic"))
    with pytest.raises(DataError, match=r'test.csv: there is no column "headline"'):
        read_training_tables(config(train, test=str(test)))


def test_lengths_are_measured_on_the_training_part_unless_asked(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "t.csv", ROWS)
    valid = write_csv(tmp_path / "v.csv", [("a much longer text than all the others", "a")])
    data = DataConfig(train=str(train), valid=str(valid))
    for source, expected in (("train", 3), ("all", 8)):
        text = TextConfig(max_length="longest", max_length_from=source)  # type: ignore[arg-type]
        tables = read_training_tables(RunConfig(data=data, text=text))
        assert tables.preprocessor.max_tokens == expected


def test_labels_that_training_lacks_get_no_target(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train = write_csv(tmp_path / "t.csv", ROWS)
    valid = write_csv(tmp_path / "v.csv", [("x", "a"), ("y", "c")])
    tables = read_training_tables(config(train, valid=str(valid)))
    assert tables.valid.targets.tolist() == [0, -1]
    assert "valid: rows with a label that the training rows lack: 1" in caplog.text


def test_too_many_labels_that_training_lacks_are_another_column(tmp_path: Path) -> None:
    tables = read_training_tables(config(write_csv(tmp_path / "t.csv", ROWS)))
    other = write_csv(tmp_path / "o.csv", [(f"text {number}", f"id {number}") for number in range(1001)])
    with pytest.raises(DataError, match=r'column "label" has 1,001 labels that training never saw'):
        read_labelled_table(other, DataConfig(), tables.preprocessor)


def test_a_column_of_names_is_no_column_of_labels(tmp_path: Path) -> None:
    rows = [(f"text {number}", f"user {number % 1500}") for number in range(4000)]
    with pytest.raises(DataError, match=r'"label" has 1,500 labels for 4,000 rows.*--label-column'):
        read_training_tables(config(write_csv(tmp_path / "t.csv", rows)))


def test_labels_that_come_once_each_cannot_be_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"each label comes once only.*--valid"):
        read_training_tables(config(write_csv(tmp_path / "t.csv", ROWS[:2])))


def test_no_table_at_all() -> None:
    with pytest.raises(ConfigError, match=r"or as data\.train"):
        read_training_tables(RunConfig())


def test_a_table_to_score(tmp_path: Path) -> None:
    preprocessor = read_training_tables(config(write_csv(tmp_path / "t.csv", ROWS))).preprocessor
    path = write_csv(tmp_path / "e.csv", [("a", "new words"), ("c", ""), ("b", "x")], header=("kind", "text"))
    labelled = read_labelled_table(path, DataConfig(label_column="1"), preprocessor)
    assert labelled.labels == ["a", "c", "b"]
    assert labelled.targets.tolist() == [0, -1, 1]
    assert labelled.examples.sentences.texts.tolist() == ["new words", "", "x"]
    dropped = read_labelled_table(path, DataConfig(label_column="kind", drop_empty=True), preprocessor)
    assert dropped.labels == ["a", "b"]
