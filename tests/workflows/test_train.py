"""Training from Python."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from elmo_cli.classifier.encoding import Encoded
from elmo_cli.config import ClassifierConfig, DataConfig, ElmoConfig, RunConfig, TrainingConfig
from elmo_cli.errors import DataError
from elmo_cli.text.preprocessor import Examples
from elmo_cli.text.sentences import cut
from elmo_cli.workflows.evaluate import evaluate_run
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.predict import Predictor
from elmo_cli.workflows.train import _absolute, _arrays, train
from elmo_cli.workflows.training_tables import LabelledTable, read_labelled_table, read_training_tables


def test_train_then_evaluate(tiny: Path, tmp_path: Path) -> None:
    config = RunConfig(
        data=DataConfig(train=str(tiny / "train.csv"), test=str(tiny / "test.csv")),
        elmo=ElmoConfig(handle=str(tiny / "elmo"), batch_tokens=40),
        classifier=ClassifierConfig(hidden=(8,), features="elmo"),
        training=TrainingConfig(epochs=3),
    )
    with NewRun(tmp_path / "run", config) as run:
        result = train(run, read_training_tables(config))
    assert result.run.path == tmp_path / "run"
    assert len(result.history.epochs) == 3
    assert set(result.reports) == {"valid", "test"}

    predictor = Predictor(tmp_path / "run")
    table = read_labelled_table(tiny / "test.csv", DataConfig(), predictor.preprocessor)
    report = evaluate_run(predictor, table)
    np.testing.assert_array_equal(report.confusion, result.reports["test"].confusion)
    assert report.log_loss == pytest.approx(result.reports["test"].log_loss, abs=1e-6)
    best = json.loads((tmp_path / "run" / "run.json").read_text())["best_epoch"]
    history = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(history) == 4
    assert float(history[best].split(",")[3]) == pytest.approx(result.reports["valid"].log_loss, abs=1e-4)


def test_what_utf8_cannot_hold_and_earlier_predictions_are_no_reason_to_fail(
    tiny: Path, tmp_path: Path
) -> None:
    rows = [("Snow \ud83d fell.", "sky"), ("Boil the eggs.", "kitchen")]
    test = tmp_path / "test.jsonl"
    lines = [json.dumps({"text": text, "label": label, "predicted": "old"}) for text, label in rows]
    test.write_text("\n".join(lines))
    config = RunConfig(
        data=DataConfig(train=str(tiny / "train.csv"), test=str(test)),
        elmo=ElmoConfig(handle=str(tiny / "elmo")),
        training=TrainingConfig(epochs=1),
    )
    with NewRun(tmp_path / "run", config) as run:
        train(run, read_training_tables(config))
    written = pd.read_csv(tmp_path / "run" / "predictions" / "test.csv")
    names = ["text", "label", "predicted", "elmo_predicted", "elmo_probability"]
    assert list(written.columns) == names
    assert written["predicted"].tolist() == ["old", "old"]
    assert written.loc[0, "text"] == "Snow \\ud83d fell."


def test_a_label_that_utf8_cannot_hold_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    labels = ["sky", "sk\ud83d", "kitchen", "sky"]
    path.write_text("\n".join(json.dumps({"text": "It rained.", "label": label}) for label in labels))
    with pytest.raises(DataError, match=r'train.jsonl, row 2, column "label": the label .* half a character'):
        read_training_tables(RunConfig(data=DataConfig(train=str(path))))


def test_rows_are_never_copied() -> None:
    encoded = Encoded(np.zeros((3, 2, 4), np.float16), np.array([2, 0, 1]))
    table = LabelledTable(pd.DataFrame(), Examples(cut([], 1), None), [], np.array([0, -1, 1], np.int32))
    arrays = _arrays(encoded, table)
    assert arrays.inputs is encoded.vectors
    assert arrays.targets.tolist() == [0, 1]
    assert arrays.rows.tolist() == [2, 1]


def test_handles_mean_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("elmo", "bundled", "with,comma"):
        (tmp_path / name).mkdir()
    for name in ("o.json", "w.hdf5"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    for handle in ("bundled", "bundled:mini", "https://tfhub.dev/google/elmo/3", "nowhere", "o.json,nowhere"):
        assert _absolute(handle) == handle
    assert _absolute("elmo") == str(tmp_path / "elmo")
    assert _absolute("with,comma") == str(tmp_path / "with,comma")
    assert _absolute("o.json, w.hdf5") == f"{tmp_path / 'o.json'},{tmp_path / 'w.hdf5'}"
