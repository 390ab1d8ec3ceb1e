"""elmo-eval: numbers on stdout, files in the run, and every way it can end."""

import json
from pathlib import Path

import pandas as pd
import pytest
from tiny_run import invoke, write_csv

pytestmark = pytest.mark.usefixtures("loaded")

KEYS = {
    "accuracy", "macro_f1", "weighted_f1", "log_loss", "num_rows", "per_class", "confusion", "labels",
}  # fmt: skip


def test_json_is_one_object_and_nothing_else(tiny: Path, run: Path) -> None:
    result = invoke("eval", run, tiny / "test.csv", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert set(report) >= KEYS
    assert report["num_rows"] == 10
    assert report["labels"] == ["kitchen", "sky"]
    assert sum(map(sum, report["confusion"])) == 10
    assert set(report["per_class"]["sky"]) == {"precision", "recall", "f1", "support"}
    assert result.stderr == ""


def test_the_report_and_a_picture_are_added_to_the_run(tiny: Path, run: Path) -> None:
    before = {path.name: path.read_bytes() for path in (run / "plots").iterdir()}
    result = invoke("eval", run, tiny / "test.csv", "--json")
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics) == {"valid", "test", "test.csv"}
    assert metrics["test.csv"].pop("file") == str((tiny / "test.csv").resolve())
    assert metrics["test.csv"] == json.loads(result.stdout)
    assert metrics["test.csv"]["confusion"] == metrics["test"]["confusion"]
    after = {path.name: path.read_bytes() for path in (run / "plots").iterdir()}
    assert after.pop("confusion_test.csv.png").startswith(b"\x89PNG")
    assert after == before


def test_no_report_takes_the_place_of_another(tiny: Path, run: Path, tmp_path: Path) -> None:
    content = (tiny / "test.csv").read_text()
    files = [tmp_path / name for name in ("test.csv", "a/test.csv", "b/test.csv", "test", "test.jsonl")]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
    files[-1].write_text('{"text": "rain", "label": "sky"}\n')
    before = (run / "plots" / "confusion_test.png").read_bytes()
    for file in (*files, files[1]):
        result = invoke("eval", run, file)
        assert result.exit_code == 0, result.output
    metrics = json.loads((run / "metrics.json").read_text())
    assert [report.get("file") for report in metrics.values()] == [None, None, *map(str, files)]
    assert list(metrics)[2] == "test.csv"
    assert {f"confusion_{name}.png" for name in metrics} <= {path.name for path in (run / "plots").iterdir()}
    assert (run / "plots" / "confusion_test.png").read_bytes() == before


def test_a_closed_stdout_leaves_the_report_in_the_run(
    tiny: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from elmo_cli.evaluation.report import Report

    def closed(report: Report, **_: object) -> str:
        raise BrokenPipeError

    monkeypatch.setattr(Report, "to_json", closed)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    invoke("eval", run, tiny / "test.csv", "--json")
    assert "test.csv" in json.loads((run / "metrics.json").read_text())
    assert (run / "plots" / "confusion_test.csv.png").is_file()


def test_the_tables_are_for_people(tiny: Path, run: Path) -> None:
    result = invoke("eval", run, tiny / "test.csv")
    assert result.exit_code == 0
    for part in ("accuracy", "macro F1", "log loss", "precision", "support", "confusion matrix", "kitchen"):
        assert part in result.stdout


def test_predicted_labels_give_the_accuracy_that_was_counted(tiny: Path, run: Path, tmp_path: Path) -> None:
    accuracy = json.loads(invoke("eval", run, tiny / "train.csv", "--json").stdout)["accuracy"]
    output = tmp_path / "predicted.csv"
    result = invoke("predict", run, tiny / "train.csv", "-o", output, "--chunk-rows", "5")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(output)
    assert (table["label"] == table["predicted"]).mean() == accuracy


def test_unseen_labels_are_counted_not_crashed_on(run: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", [("rain", "sky"), ("bread", "kitchen"), ("a horse", "animals")])
    result = invoke("eval", run, table, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["unseen_labels"] == {"animals": 1}
    assert report["num_rows"] == 3
    assert report["labels"] == ["kitchen", "sky", "animals"]


def test_unseen_labels_alone_are_counted_with_a_warning(run: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", [("rain", "weather"), ("bread", "food")])
    before = (run / "metrics.json").read_bytes()
    result = invoke("eval", run, table, "--json")
    assert result.exit_code == 0, result.output
    assert "Nothing was added to the reports of" in result.stderr
    assert (run / "metrics.json").read_bytes() == before
    report = json.loads(result.stdout)
    assert (report["accuracy"], report["log_loss"], report["num_unseen_label_rows"]) == (0, None, 2)
    assert "None of the 2 rows has a label that training saw" in result.stderr
    assert "Found: weather, food. Training saw: kitchen, sky." in result.stderr


def test_columns_of_other_names(run: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", [("sky", "rain"), ("kitchen", "bread")], header=("what", "said"))
    result = invoke("eval", run, table, "--json", "--text-column", "said", "--label-column", "1")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["num_rows"] == 2


def test_empty_texts_are_scored_unless_dropped(run: Path, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", [("rain", "sky"), ("", "kitchen"), ("bread", "")])
    result = invoke("eval", run, table, "--json")
    assert result.exit_code == 3
    assert 'row 4, column "label": the label is missing' in result.stderr
    for options, num_rows in ((["--drop-unlabelled"], 2), (["--drop-unlabelled", "--drop-empty"], 1)):
        result = invoke("eval", run, table, "--json", *options)
        assert json.loads(result.stdout)["num_rows"] == num_rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv is empty"),
        ("text,label\n", "only a header"),
        ("words,label\nrain,sky\n", 'there is no column "text"'),
        ("text,kind\nrain,sky\n", 'there is no column "label"'),
    ],
)
def test_bad_data_ends_with_3(run: Path, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    result = invoke("eval", run, tmp_path / "t.csv", "--json")
    assert (result.exit_code, result.stdout) == (3, "")
    assert message in result.stderr


def test_a_missing_table_ends_with_3(run: Path) -> None:
    result = invoke("eval", run, "nowhere.csv")
    assert result.exit_code == 3
    assert "nowhere.csv: there is no such file" in result.stderr


def test_numbers_are_printed_even_where_the_run_cannot_be_written(tiny: Path, run: Path) -> None:
    (run / "metrics.json").write_text("[")
    result = invoke("eval", run, tiny / "test.csv", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["num_rows"] == 10
    assert "metrics.json is damaged" in result.stderr
