"""Predictor: a table in Python, whatever its columns, index and attrs."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import elmo_cli
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.workflows import predict
from elmo_cli.workflows.predict import Predictor, load_run

TEXTS = ["Rain fell on the hills.", "She baked bread.", "Frost"]


@pytest.fixture(scope="module")
def predictor(tiny: Path) -> Predictor:
    return Predictor(tiny / "run")


def test_the_public_names_are_these() -> None:
    assert elmo_cli.Predictor is Predictor
    assert elmo_cli.load_run is load_run


def test_columns_are_added_and_nothing_else_changes(predictor: Predictor) -> None:
    table = pd.DataFrame({"n": [1, 2, 3], "text": TEXTS, "d": pd.to_datetime(["2024-01-01"] * 3)})
    before = table.copy()
    result = predictor(table)
    pd.testing.assert_frame_equal(table, before)
    pd.testing.assert_frame_equal(result[["n", "text", "d"]], before)
    assert list(result.columns) == ["n", "text", "d", "predicted", "probability"]
    assert result["probability"].dtype == np.float32
    assert result["predicted"].isin(["kitchen", "sky"]).all()


@pytest.mark.parametrize("index", [[5, 3, 9], ["x", "y", "x"], [0, 0, 0], pd.date_range("2024", periods=3)])
def test_any_index_is_kept(predictor: Predictor, index: list[object]) -> None:
    table = pd.DataFrame({"text": TEXTS}, index=index)
    result = predictor(table)
    assert result.index.equals(table.index)
    expected = predictor(pd.DataFrame({"text": TEXTS}))
    assert result["predicted"].tolist() == expected["predicted"].tolist()
    assert result["probability"].tolist() == expected["probability"].tolist()


def test_no_rows(predictor: Predictor) -> None:
    result = predictor(pd.DataFrame({"text": pd.Series([], dtype=object), "n": pd.Series([], dtype=int)}))
    assert list(result.columns) == ["text", "n", "predicted", "probability"]
    assert len(result) == 0
    assert result["probability"].dtype == np.float32


@pytest.mark.parametrize("name", ["text", "anything", 0, ("a", 1)])
def test_a_single_column_needs_no_particular_name(predictor: Predictor, name: object) -> None:
    table = pd.DataFrame({name: TEXTS})
    assert predictor(table).columns[0] == name


def test_labels_of_columns_need_not_be_strings(predictor: Predictor) -> None:
    result = predictor(pd.DataFrame({7: [1, 2, 3], "text": TEXTS, None: [1, 2, 3]}))
    assert result.columns[0] == 7
    assert len(result.columns) == 5


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, "", "   ", "\t\n"])
def test_a_missing_text_gets_a_prediction(predictor: Predictor, missing: object) -> None:
    result = predictor(pd.DataFrame({"text": pd.Series(["rain", missing], dtype=object)}))
    empty = predictor(pd.DataFrame({"text": [""]}))
    assert result["probability"].iloc[1] == pytest.approx(empty["probability"].iloc[0], abs=1e-6)


@pytest.mark.parametrize("dtype", ["category", "string", "string[pyarrow]"])
def test_any_kind_of_strings(predictor: Predictor, dtype: str) -> None:
    result = predictor(pd.DataFrame({"text": pd.Series(TEXTS, dtype=dtype), "n": [1, 2, 3]}))
    expected = predictor(pd.DataFrame({"text": TEXTS}))
    assert result["predicted"].tolist() == expected["predicted"].tolist()


def test_predictions_do_not_depend_on_the_other_rows(predictor: Predictor) -> None:
    together = predictor(pd.DataFrame({"text": [*TEXTS, "word " * 9]}))["probability"]
    alone = [predictor(pd.DataFrame({"text": [text]}))["probability"].iloc[0] for text in TEXTS]
    np.testing.assert_allclose(together[:3], alone, atol=1e-6)


def test_the_result_can_be_saved_without_a_warning(predictor: Predictor, tmp_path: Path) -> None:
    table = pd.DataFrame({"text": TEXTS})
    table.attrs["format"] = object()
    result = predictor(table)
    assert result.attrs == {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result.to_parquet(tmp_path / "out.parquet")


def test_a_missing_column_is_named(predictor: Predictor) -> None:
    with pytest.raises(DataError, match='there is no column "text"'):
        predictor(pd.DataFrame({"a": TEXTS, "b": TEXTS}))


def test_what_is_no_text_is_refused_with_its_place(predictor: Predictor) -> None:
    with pytest.raises(DataError, match=r'the table, row 2, column "text": expected a text, received list'):
        predictor(pd.DataFrame({"text": ["rain", ["a", "b"]], "n": [1, 2]}))


def test_another_text_column(tiny: Path) -> None:
    table = pd.DataFrame({"a": ["x"] * 3, "b": TEXTS})
    by_name, by_number = (Predictor(tiny / "run", text_column=name)(table) for name in ("b", "2"))
    pd.testing.assert_frame_equal(by_name, by_number)


def test_the_columns_asked_for(tiny: Path) -> None:
    predictor = Predictor(str(tiny / "run"), proba=True, top_k=2, prefix="p_")
    result = predictor(pd.DataFrame({"text": TEXTS}))
    assert list(result.columns)[1:] == predictor.columns.names(predictor.labels)
    with pytest.raises(ConfigError, match=r'the table has a column "p_predicted" already'):
        predictor(result)
    with pytest.raises(ConfigError, match="--top-k must be between 1 and the number of classes, 2"):
        Predictor(tiny / "run", top_k=3)


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="does not exist"):
        load_run(tmp_path / "nowhere")


def test_a_large_table_is_predicted_in_pieces_that_fit(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({"text": [f"text number {number}" for number in range(7)]})
    predictor = Predictor(tiny / "run")
    expected = predictor(table)
    monkeypatch.setattr(predict, "_LEAST_BYTES", 0)
    # As where all tokens are kept: what counts are the 3 tokens of these texts, not those allowed.
    monkeypatch.setattr(predictor.classifier.encoder, "row_bytes", lambda num_tokens: num_tokens)
    elmo = replace(predictor.config.elmo, memory_bytes=3 * 3)
    predictor.config = replace(predictor.config, elmo=elmo)
    sizes, encode = [], predictor.classifier.encode

    def watched(sentences: Any, **options: Any) -> Any:
        sizes.append(len(sentences.texts))
        return encode(sentences, **options)

    monkeypatch.setattr(predictor.classifier, "encode", watched)
    found = predictor(table)
    assert sizes == [3, 3, 1]
    assert found["predicted"].tolist() == expected["predicted"].tolist()
    np.testing.assert_allclose(found["probability"], expected["probability"], atol=1e-3)


def test_another_precision_than_in_training_is_said_where_nobody_chose_it(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    record = json.loads((run / "run.json").read_text())
    other = "float32" if record["precision"] == "bfloat16" else "bfloat16"
    Predictor(run)
    Predictor(run, precision=other)
    assert "was trained on vectors" not in caplog.text
    (run / "run.json").write_text(json.dumps({**record, "precision": other}))  # of another machine
    Predictor(run)
    assert f"--precision {other} does as in training" in caplog.text


def test_what_lies_in_a_run_that_did_not_adapt_is_not_its_elmo(predictor: Predictor, run: Path) -> None:
    (run / "elmo").mkdir()
    assert Predictor(run).classifier.embedder.source == predictor.classifier.embedder.source
