import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from elmo_cli.config import DataConfig, TextConfig
from elmo_cli.errors import DataError, RunError
from elmo_cli.text.cells import labels_of, texts_of, usable_rows
from elmo_cli.text.labels import LabelSet
from elmo_cli.text.preprocessor import Preprocessor
from elmo_cli.text.tables import read_table, stream_table

TRAIN = 'text,label\n"Don\'t, please.",no\nYes!, yes \nMaybe so it is,no\n'


def table(folder: Path, content: str, name: str = "train.csv") -> pd.DataFrame:
    path = folder / name
    path.write_text(content, encoding="utf-8", newline="")
    return read_table(path, DataConfig(header=True if name.endswith("csv") else None))


@pytest.fixture
def train(tmp_path: Path) -> pd.DataFrame:
    return table(tmp_path, TRAIN)


@pytest.fixture
def fitted(train: pd.DataFrame) -> Preprocessor:
    return Preprocessor.fit(train, DataConfig(), TextConfig(max_length="longest"))


def test_training_decides_columns_classes_and_length(fitted: Preprocessor) -> None:
    assert fitted == Preprocessor("text", "label", "treebank", 5, LabelSet(("no", "yes")))


def test_examples_hold_sentences_and_what_was_cut(train: pd.DataFrame, fitted: Preprocessor) -> None:
    examples = dataclasses.replace(fitted, max_tokens=3).transform(train)
    assert examples.sentences.texts.tolist() == ["Do n't ,", "Yes !", "Maybe so it"]
    assert examples.sentences.lengths.tolist() == [3, 2, 3]
    assert (examples.cut.num_rows_cut, examples.cut.num_tokens_cut) == (2, 3)


def test_lengths_of_more_tables_count_only_when_asked_for(train: pd.DataFrame, tmp_path: Path) -> None:
    more = [table(tmp_path, "text\none two three four five six seven\n", "test.csv")]
    for source, expected in (("train", 5), ("all", 7)):
        config = TextConfig(max_length="longest", max_length_from=source)  # type: ignore[arg-type]
        assert Preprocessor.fit(train, DataConfig(), config, more).max_tokens == expected


def test_prediction_needs_no_labels_and_takes_empty_texts(fitted: Preprocessor, tmp_path: Path) -> None:
    df = table(tmp_path, 'id,text\n1,""\n2,ok\n', "new.csv")
    examples = fitted.transform(df)
    assert examples.sentences.texts.tolist() == ["", "ok"]
    assert examples.sentences.lengths.tolist() == [1, 1]


def test_a_single_column_of_several_names_is_none(fitted: Preprocessor, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("other,text\n1,it rained\n")
    df = read_table(path, DataConfig(delimiter=";"))
    with pytest.raises(DataError, match=r"read as a single column.*--delimiter"):
        fitted.text_column_of(df)


def test_a_single_column_is_the_text_whatever_its_name(fitted: Preprocessor, tmp_path: Path) -> None:
    other = dataclasses.replace(fitted, text_column="review")
    assert other.transform(table(tmp_path, "a b\nc\n", "a.txt")).sentences.texts.tolist() == [
        "a b",
        "c",
    ]
    with pytest.raises(DataError, match='no column "review"'):
        other.transform(table(tmp_path, "id,body\n1,x\n", "new.csv"))


@pytest.mark.parametrize("wanted", ["text", "2"])
@pytest.mark.parametrize("chunk_rows", [None, 1, 2, 3])
def test_a_row_of_jsonl_counts_the_same_whatever_comes_with_it(
    fitted: Preprocessor, tmp_path: Path, chunk_rows: int | None, wanted: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "text": "hi there"}\n{"id": 7}\n{"id": 8}\n{"text": "a"}\n')
    pieces = stream_table(path, DataConfig(), chunk_rows=chunk_rows)
    fitted = dataclasses.replace(fitted, text_column=wanted)
    texts = [text for df in fitted.with_texts(pieces) for text in fitted.transform(df).sentences.texts]
    assert texts == ["hi there", "", "", "a"]


@pytest.mark.parametrize("chunk_rows", [None, 1])
def test_jsonl_that_never_has_the_column_is_refused(
    fitted: Preprocessor, tmp_path: Path, chunk_rows: int | None
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "hi there"}\n{"body": "you"}\n')
    with pytest.raises(DataError, match='no column "text"'):
        list(fitted.with_texts(stream_table(path, DataConfig(), chunk_rows=chunk_rows)))


def test_a_dataframe_of_any_origin_will_do(fitted: Preprocessor) -> None:
    df = pd.DataFrame({"text": ["a b", None, "c"], "label": ["yes", "other", "no"]}, index=[7, 7, 9])
    examples = fitted.transform(df)
    assert examples.sentences.texts.tolist() == ["a b", "", "c"]
    with pytest.raises(DataError, match='the table, row 2, column "label"'):
        labels_of(pd.DataFrame({"label": ["a", " "]}), "label")


def test_it_reads_back_from_json_to_an_equal_one(fitted: Preprocessor) -> None:
    text = fitted.to_json()
    assert Preprocessor.from_json(text) == fitted
    assert json.loads(text)["format_version"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format_version": 1}', "damaged"),
        ('{"format_version": 99}', "format version 99.*reads 1"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(text: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        Preprocessor.from_json(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,x\nb,\n", r'train\.csv, row 3, column "label": the label is missing\..*--drop-unl'),
        ("text,label\na,x\nb,  \n,y\nc,\n", r"row 3, .*the label is missing, here and in 1 more"),
        ("text,label\na,x\n\n ,y\n", r'train\.csv, row 4, column "text": the text is empty.*--drop-empty'),
        ("text,label\na,x\nb,x\n", r'train\.csv has only one class, "x"'),
        ("body,label\na,x\nb,y\n", None),
        ("a,b,c\n1,2,3\n", r"which columns hold the texts and the labels\?"),
    ],
)  # fmt: skip
def test_training_tables_that_cannot_be_used_are_said(
    tmp_path: Path, content: str, message: str | None
) -> None:
    df = table(tmp_path, content)
    if message is None:
        assert Preprocessor.fit(df, DataConfig(), TextConfig()).text_column == "body"
        return
    with pytest.raises(DataError, match=message):
        Preprocessor.fit(df, DataConfig(), TextConfig())


def test_rows_are_dropped_when_asked_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    df = table(tmp_path, "text,label\na,x\nb, \n,y\nc,z\n")
    data = DataConfig(drop_unlabelled=True, drop_empty=True)
    with caplog.at_level(logging.INFO):
        kept = usable_rows(df, text_column="text", label_column="label", data=data)
    assert kept["text"].tolist() == ["a", "c"]
    assert "rows left out: 1, because the label is missing" in caplog.text
    assert Preprocessor.fit(df, data, TextConfig()).label_set.names == ("x", "z")
    # What is left still names its rows as the file has them.
    kept.loc[3, "label"] = ""
    with pytest.raises(DataError, match="row 5"):
        labels_of(kept, "label")
    with pytest.raises(DataError, match="no row is left"):
        usable_rows(df.iloc[1:3], text_column="text", label_column="label", data=data)


def test_empty_texts_may_stay_in_evaluation(tmp_path: Path) -> None:
    df = table(tmp_path, "text,label\n,x\n")
    assert len(usable_rows(df, text_column=None, label_column="label", data=DataConfig())) == 1


def test_the_ugly_hotel_file_names_its_row_or_drops_it(shared: Path) -> None:
    df = read_table(shared / "ugly" / "zh_hotel_missing_text.csv", DataConfig())
    with pytest.raises(
        DataError, match=r'zh_hotel_missing_text\.csv, row \d+, column "review": the text is empty'
    ):
        Preprocessor.fit(df, DataConfig(), TextConfig())
    fitted = Preprocessor.fit(df, DataConfig(drop_empty=True), TextConfig())
    assert fitted.label_set.names == ("0", "1")


def test_numbers_of_jsonl_become_text(tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"text": "a", "label": 1},
        {"text": 5, "label": 10},
        {"text": "b", "label": 2},
    ]
    df = table(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "a.jsonl")
    assert Preprocessor.fit(df, DataConfig(), TextConfig()).label_set.names == ("1", "2", "10")
    assert texts_of(df, "text") == ["a", "5", "b"]


def test_missing_keys_nulls_and_lists_of_jsonl_are_said(tmp_path: Path) -> None:
    df = table(tmp_path, '{"text": "a", "label": 1}\n{"text": null}\n{"text": ["x"]}\n', "a.jsonl")
    with pytest.raises(DataError, match='row 2, column "label": the label is missing'):
        labels_of(df, "label")
    with pytest.raises(DataError, match='row 3, column "text": expected a text, received list'):
        texts_of(df, "text")
    assert texts_of(df.iloc[:2], "text") == ["a", ""]
