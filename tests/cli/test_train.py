"""elmo-train: every way it can end, with exit code and message."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny_run import KITCHEN, SKY, invoke, write_csv

from elmo_cli.classifier.trainable_classifier import TrainableClassifier
from elmo_cli.config import RunConfig
from elmo_cli.config_yaml import load_config
from elmo_cli.files import lock
from elmo_cli.training import loop
from elmo_cli.workflows.run_directory import RunDirectory

FEW = ("--epochs", "2", "--batch-size", "16")


def train(tiny: Path, output: Path, *arguments: object, table: Path | None = None) -> Any:
    return invoke(
        "train", table or tiny / "train.csv", "--elmo", tiny / "elmo", "-o", output, *FEW, *arguments
    )


def test_a_run_holds_everything_that_is_promised(tiny: Path) -> None:
    run = tiny / "run"
    files = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    assert files == {
        "MODEL_CARD.md",
        "checkpoints/last_and_best.npz",
        "config.yaml",
        "history.csv",
        "log.txt",
        "metrics.json",
        "model/classifier.weights.h5",
        "model/model.json",
        "model/tfidf.npz",
        "plots/confusion_test.png",
        "plots/confusion_valid.png",
        "plots/history.png",
        "predictions/test.csv",
        "predictions/valid.csv",
        "preprocessor.json",
        "report.html",
        "run.json",
    }
    assert {path.relative_to(run).as_posix() for path in RunDirectory(run).files()} == files
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["command"].split()[0] == "elmo-train"
    assert {"elmo-cli", "tensorflow", "keras", "python"} <= set(record["versions"])
    assert record["seed"] == 13
    assert list(record["data"]["sha256"]) == [str(tiny / "train.csv"), str(tiny / "test.csv")]
    assert record["data"]["rows"] == {"train": 38, "valid": 4, "test": 10}
    assert len(record["elmo"]["fingerprint"]) == 64
    assert {"reading", "loading", "embedding", "training", "evaluating", "total"} == set(record["seconds"])
    assert 1 <= record["best_epoch"] <= record["epochs"] <= 4
    assert sum(record["layer_mix"]["weights"]) == pytest.approx(1, abs=1e-4)
    assert set(json.loads((run / "metrics.json").read_text())) == {"valid", "test"}


def test_it_learns(tiny: Path, tmp_path: Path) -> None:
    tables = [tiny / "train.csv", "--valid", tiny / "train.csv"]
    steps = [
        "--epochs",
        "30",
        "--patience",
        "30",
        "--hidden",
        "64",
        "--dropout",
        "0",
        "--learning-rate",
        "0.01",
    ]
    invoke("train", *tables, "--elmo", tiny / "elmo", "-o", tmp_path / "run", *steps)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["valid"]["accuracy"] >= 0.9


def test_its_log_begins_with_the_data_and_ends_with_the_test(tiny: Path) -> None:
    log = (tiny / "run" / "log.txt").read_text()
    assert "taking column 1" in log.splitlines()[0]
    assert "Initialised" in log
    assert "test: accuracy" in log


def test_the_model_card_says_what_it_is(tiny: Path) -> None:
    card = (tiny / "run" / "MODEL_CARD.md").read_text()
    record = json.loads((tiny / "run" / "run.json").read_text())
    assert "`kitchen`, `sky`" in card
    for value in (*record["data"]["sha256"].values(), record["elmo"]["fingerprint"]):
        assert value in card
    assert "elmo-predict RUN" in card


def test_the_report_shows_tables_pictures_and_what_was_trained(tiny: Path) -> None:
    page = (tiny / "run" / "report.html").read_text()
    record = json.loads((tiny / "run" / "run.json").read_text())
    for part in ("Table: valid", "Table: test", "kitchen", record["elmo"]["fingerprint"][:12], "38 train"):
        assert part in page
    assert page.count("data:image/png;base64,") == 3


def test_the_config_of_a_run_repeats_it_to_the_last_bit(tiny: Path, tmp_path: Path) -> None:
    import h5py
    import numpy as np

    again = tmp_path / "again"
    result = invoke("train", "--config", tiny / "run" / "config.yaml", "-o", again)
    assert result.exit_code == 0, result.output
    for name in ("preprocessor.json", "metrics.json", "predictions/test.csv", "predictions/valid.csv"):
        assert (again / name).read_bytes() == (tiny / "run" / name).read_bytes(), name

    def arrays(run: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        with h5py.File(run / "model" / "classifier.weights.h5") as file:
            file.visititems(
                lambda name, item: found.update({name: item[...]}) if hasattr(item, "shape") else None
            )
        return found

    first, second = arrays(tiny / "run"), arrays(again)
    assert list(first) == list(second)
    assert len(first) >= 4
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


def test_a_maximum_length_beyond_all_texts_cuts_nothing(tiny: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path / "run", "--max-length", 2**40)
    assert result.exit_code == 0, result.output
    assert "none of 38 rows was cut" in result.stderr
    result = invoke("predict", tmp_path / "run", "The soup was cold.")
    assert result.exit_code == 0, result.output


def test_messages_say_what_was_found_and_what_is_trained(tiny: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path / "run", "--max-length", "5")
    assert result.exit_code == 0
    assert result.stdout == ""
    for part in (
        'column 1, "text", as the text',
        "38 rows to learn from, 4 split off",
        "2 classes: kitchen, sky",
        "rows were cut and lost",
        "Working on",
        "ELMo variables",
        "parameters are trained",
        "epoch 1 of 2",
        "layer mix: 0.",
        "valid: accuracy",
        "next: elmo-predict",
    ):
        assert part in result.stderr


def test_quiet_is_quiet(tiny: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path / "run", "--quiet", "--trainable", "none", "--hidden", "4", "--pool", "max")
    assert result.exit_code == 0
    assert result.output == ""
    assert "Working on" in (tmp_path / "run" / "log.txt").read_text()
    assert "all its layers count the same" in (tmp_path / "run" / "MODEL_CARD.md").read_text()


# --- The configuration ---


def test_print_config_shows_what_load_config_reads(tmp_path: Path) -> None:
    result = invoke("train", "some.csv", "--epochs", "3", "--print-config")
    assert (result.exit_code, result.stderr) == (0, "")
    (tmp_path / "c.yaml").write_text(result.stdout)
    config = load_config(tmp_path / "c.yaml")
    assert (config.data.train, config.training.epochs) == ("some.csv", 3)
    assert not (tmp_path / "some.csv").exists()


def test_print_config_alone_is_the_default() -> None:
    result = invoke("train", "--print-config")
    assert yaml.safe_load(result.stdout)["text"]["max_length"] == RunConfig().text.max_length


def test_flags_win_over_set_and_set_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("training: {epochs: 3, patience: 3, batch_size: 3}\n")
    result = invoke(
        "train", "--config", file, "--set", "training.epochs=4", "--set", "training.patience=4",
        "--patience", "6", "--print-config",
    )  # fmt: skip
    training = yaml.safe_load(result.stdout)["training"]
    assert (training["batch_size"], training["epochs"], training["patience"]) == (3, 4, 6)


def test_train_may_stand_in_the_file(tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"data: {{train: {tiny / 'train.csv'}}}\nelmo: {{handle: {tiny / 'elmo'}}}\n")
    result = invoke("train", "--config", file, "-o", tmp_path / "run", *FEW)
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "training.epoch=5"], "unknown key training.epoch; did you mean training.epochs?"),
        (["--set", "training.epochs"], "a setting is written key=value"),
        (["--epochs", "many"], "training.epochs must be a whole number; received 'many'"),
        (["--epochs", "0"], "training.epochs must be at least 1"),
        (["--dropout", "1"], "classifier.dropout must be"),
        (["--pool", "sum"], "classifier.pool must be"),
        (["--max-length", "p101"], "text.max_length must be"),
        (["--delimiter", "ab"], "data.delimiter must be one character"),
        (["--encoding", "utf-99"], "data.encoding must be an encoding"),
        (["--seed", "-1"], "seed must be from 0"),
        (["--tokenizer", "moses"], "'moses' is not one of 'treebank', 'whitespace'"),
        (["--trainable", "some"], "'some' is not one of 'none', 'mix', 'top', 'all'"),
        (["--epoch", "3"], "No such option"),
        (["--config", "nowhere.yaml"], "nowhere.yaml cannot be read"),
        ([], "Say where to write the run: -o RUN"),
    ],
)
def test_wrong_use_ends_with_2(arguments: list[str], message: str) -> None:
    result = invoke("train", "train.csv", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_without_a_table_it_says_how_to_give_one(tmp_path: Path) -> None:
    result = invoke("train", "-o", tmp_path / "run")
    assert result.exit_code == 2
    assert "Give it as the first argument" in result.stderr


# --- The data ---


def rows_of(*labels: str) -> list[tuple[str, str]]:
    return [(text, label) for label in labels for text in (KITCHEN.splitlines()[:3] + SKY.splitlines()[:3])]


BAD_TABLES = {
    "empty file": (b"", "train.csv is empty"),
    "only a header": (b"text,label\n", "only a header"),
    "one class": (b"text,label\nred,a\nblue,a\ngreen,a\n", 'only one class, "a"'),
    "no text column": (b"foo,label,bar\n1,a,2\n3,b,4\n", "which column holds the texts?"),
    "no label column": (b"text,foo,bar\n1,a,2\n3,b,4\n", "which column holds the labels?"),
    "missing label": (b"text,label\nred,a\nblue,\ngreen,b\n", 'row 3, column "label": the label is missing'),
    "empty text": (b"text,label\nred,a\n  ,b\ngreen,b\n", 'row 3, column "text": the text is empty'),
    "NUL byte": (b"text,label\nred,a\nbl\0ue,b\n", "row 3"),
    "ragged row": (b"text,label\nred,a\nblue,b,c\n", "row 3: expected 2 cells"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_bad_data_ends_with_3_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    content, message = BAD_TABLES[name]
    (tmp_path / "train.csv").write_bytes(content)
    result = invoke("train", tmp_path / "train.csv", "-o", tmp_path / "run")
    assert result.exit_code == 3, result.output
    assert message in result.stderr
    assert "train.csv" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_directory_as_the_table_ends_with_3(tmp_path: Path) -> None:
    result = invoke("train", tmp_path, "-o", tmp_path / "run")
    assert (result.exit_code, "is a directory" in result.stderr) == (3, True)


def test_an_unreadable_table_ends_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write_csv(tmp_path / "train.csv", rows_of("a", "b"))
    really = open

    def denied(path: Any, *rest: Any, **named: Any) -> Any:
        if str(path) == str(table):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, *rest, **named)

    monkeypatch.setattr("builtins.open", denied)
    result = invoke("train", table, "-o", tmp_path / "run")
    assert result.exit_code == 3
    assert "cannot be read: Permission denied" in result.stderr


def test_a_missing_table_ends_with_3(tmp_path: Path) -> None:
    result = invoke("train", tmp_path / "nowhere.csv", "-o", tmp_path / "run")
    assert result.exit_code == 3
    assert "nowhere.csv: there is no such file" in result.stderr


@pytest.mark.parametrize("option", ["--valid", "--test"])
def test_a_table_with_other_labels_alone_is_refused_before_training(
    tiny: Path, tmp_path: Path, option: str
) -> None:
    other = write_csv(tmp_path / "other.csv", [("rain", "weather"), ("bread", "food")])
    result = train(tiny, tmp_path / "run", option, other)
    assert result.exit_code == 3
    assert "other.csv: no row has a label that the training rows have (kitchen, sky)" in result.stderr
    assert not (tmp_path / "run").exists()


def test_some_unknown_labels_are_said_and_left_out(tiny: Path, tmp_path: Path) -> None:
    rows = [("rain", "weather"), ("bread", "kitchen"), ("snow", "sky")]
    other = write_csv(tmp_path / "other.csv", rows)
    result = train(tiny, tmp_path / "run", "--valid", other, "--test", other)
    assert result.exit_code == 0, result.output
    assert "Warning: valid: rows with a label that the training rows lack: 1" in result.stderr
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test"]["unseen_labels"] == {"weather": 1}


# --- ELMo and device ---


def test_a_missing_elmo_ends_with_4_and_leaves_nothing(tiny: Path, tmp_path: Path) -> None:
    result = invoke("train", tiny / "train.csv", "--elmo", tmp_path / "nowhere", "-o", tmp_path / "run")
    assert result.exit_code == 4
    assert "nowhere: there is no such file or directory" in result.stderr
    assert not (tmp_path / "run").exists()


def test_damaged_weights_end_with_4(tiny: Path, tmp_path: Path) -> None:
    elmo = Path(shutil.copytree(tiny / "elmo", tmp_path / "elmo"))
    (elmo / "weights.hdf5").write_bytes((elmo / "weights.hdf5").read_bytes()[:1000])
    result = train(tiny, tmp_path / "run", "--elmo", elmo)
    assert result.exit_code == 4
    assert "weights.hdf5" in result.stderr


def test_a_relative_elmo_is_found_from_everywhere(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny)
    result = train(tiny, tmp_path / "run", "--elmo", "elmo")
    assert result.exit_code == 0, result.output
    monkeypatch.chdir(tmp_path)
    result = invoke("predict", tmp_path / "run", "a rainy day")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("command", ["train", "eval", "predict"])
def test_a_gpu_that_is_not_there_ends_with_2(tiny: Path, tmp_path: Path, command: str) -> None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    arguments = {
        "train": [tiny / "train.csv", "-o", tmp_path / "run"],
        "eval": [tiny / "run", tiny / "test.csv"],
        "predict": [tiny / "run", "a rainy day"],
    }
    result = invoke(command, *arguments[command], "--device", "gpu")
    assert result.exit_code == 2
    assert "--device gpu: TensorFlow finds no GPU" in result.stderr
    assert not (tmp_path / "run").exists()


# --- The run directory ---


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_an_existing_run_is_refused(tiny: Path, run: Path) -> None:
    before = contents(run)
    result = train(tiny, run)
    assert result.exit_code == 2
    assert "holds a run already. Choose another -o, replace it with --force, or go on" in result.stderr
    assert contents(run) == before


def test_a_run_that_is_being_trained_is_let_alone(tiny: Path, run: Path) -> None:
    before = contents(run)
    with lock(run.with_name(".run.lock")):
        for flag in ("--force", "--resume"):
            result = train(tiny, run, flag)
            assert result.exit_code == 2
            assert "another process is training this run" in result.stderr
    assert contents(run) == before


def test_resume_goes_on_to_the_same_bits(tiny: Path, tmp_path: Path) -> None:
    assert train(tiny, tmp_path / "whole", "--epochs", "4").exit_code == 0
    assert train(tiny, tmp_path / "parts").exit_code == 0
    # As if it had been killed after its second epoch.
    record = json.loads((tmp_path / "parts" / "run.json").read_text())
    (tmp_path / "parts" / "run.json").write_text(json.dumps({**record, "status": "running"}))
    result = train(tiny, tmp_path / "parts", "--epochs", "4", "--resume")
    assert result.exit_code == 0, result.output
    for name in ("valid.csv",):
        whole, parts = (tmp_path / part / "predictions" / name for part in ("whole", "parts"))
        assert parts.read_bytes() == whole.read_bytes()
    assert json.loads((tmp_path / "parts" / "run.json").read_text())["epochs"] == 4
    assert len((tmp_path / "parts" / "history.csv").read_text().splitlines()) == 5


def test_resume_refuses_other_settings_and_leaves_the_run_as_it_was(tiny: Path, run: Path) -> None:
    trained = load_config(run / "config.yaml")
    assert trained.training.batch_size != 7
    before = {name: (run / name).read_bytes() for name in ("run.json", "config.yaml")}
    result = train(tiny, run, "--resume", "--batch-size", "7")
    assert result.exit_code == 2
    assert "batch_size" in result.stderr
    assert {name: (run / name).read_bytes() for name in before} == before


def test_a_resumption_that_fails_while_it_writes_is_marked_and_can_go_on(
    tiny: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("--test", tiny / "test.csv", "--epochs", "6", "--batch-size", "8", "--learning-rate", "0.02")
    with monkeypatch.context() as broken:
        broken.setattr("elmo_cli.workflows.train.write_report", fails_with(RuntimeError("broken")))
        assert train(tiny, run, "--resume", *more).exit_code == 1
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
    assert load_config(run / "config.yaml").training.epochs == 6
    result = train(tiny, run, "--resume", *more)
    assert result.exit_code == 0, result.output
    assert json.loads((run / "run.json").read_text())["status"] == "complete"


def test_what_was_said_of_other_weights_does_not_stay(tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert train(tiny, run, "--epochs", "2").exit_code == 0
    assert invoke("eval", run, tiny / "test.csv").exit_code == 0
    said = json.loads((run / "metrics.json").read_text())
    assert {"valid", "test.csv"} <= said.keys()
    assert train(tiny, run, "--epochs", "2", "--resume").exit_code == 0
    assert json.loads((run / "metrics.json").read_text()) == said  # nothing was learned
    assert train(tiny, run, "--epochs", "9", "--resume").exit_code == 0
    assert json.loads((run / "metrics.json").read_text()).keys() == {"valid"}
    assert [path.name for path in (run / "predictions").iterdir()] == ["valid.csv"]


def test_resume_without_a_run_begins_one(tiny: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path / "new", "--resume")
    assert result.exit_code == 0, result.output


def test_force_and_resume_exclude_each_other(tiny: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path / "new", "--resume", "--force")
    assert result.exit_code == 2
    assert "give one of them" in result.stderr


def test_force_replaces_a_run(tiny: Path, run: Path) -> None:
    result = train(tiny, run, "--force", "--seed", "5")
    assert result.exit_code == 0, result.output
    assert json.loads((run / "run.json").read_text())["seed"] == 5
    assert sorted(path.name for path in run.parent.iterdir()) == [".run.lock", "run"]


@pytest.mark.parametrize("adapt", [[], ["--adapt"]])
def test_a_run_is_not_replaced_by_one_with_its_own_elmo(
    tiny: Path, run: Path, tmp_path: Path, adapt: list[str]
) -> None:
    shutil.copytree(tiny / "elmo", run / "model" / "elmo")
    (tmp_path / "linked").mkdir()
    for name in ("options.json", "weights.hdf5"):
        (tmp_path / "linked" / name).symlink_to(run / "model" / "elmo" / name)
    before = contents(run)
    for handle in (run / "model" / "elmo", tmp_path / "linked"):
        result = invoke("train", tiny / "train.csv", "--elmo", handle, "-o", run, "--force", *FEW, *adapt)
        assert result.exit_code == 2, result.output
        assert f"lies in {run}, a run that is removed when the new one is complete" in result.stderr
        assert "Copy it to another place first, or choose another -o." in result.stderr
        assert contents(run) == before
    assert not (tmp_path / "run.replaced").exists()


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
def test_a_failed_replacement_leaves_the_run_as_it_was(
    tiny: Path, run: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    before = contents(run)
    monkeypatch.setattr("elmo_cli.workflows.train.fit", fails_with(error))
    result = train(tiny, run, "--force")
    assert result.exit_code == (1 if isinstance(error, Exception) else 130)
    assert contents(run) == before
    assert sorted(path.name for path in run.parent.iterdir()) == [".run.lock", "run"]


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_what_is_not_a_run_is_never_touched(tiny: Path, tmp_path: Path, force: list[str]) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "photo.jpg").write_bytes(b"me")
    result = train(tiny, tmp_path / "precious", *force)
    assert result.exit_code == 2
    assert "is not empty and not a run, so nothing in it is touched" in result.stderr
    assert contents(tmp_path / "precious") == {str(tmp_path / "precious" / "photo.jpg"): b"me"}


def test_a_file_in_the_place_is_refused(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"me")
    result = train(tiny, tmp_path / "file", "--force")
    assert result.exit_code == 2
    assert "is a file" in result.stderr


# --- Endings ---


def fails_with(error: BaseException) -> Any:
    def fit(*_: Any, **__: Any) -> Any:
        raise error

    return fit


def test_a_bug_ends_with_1_and_asks_to_report_it(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elmo_cli.workflows.train.fit", fails_with(RuntimeError("broken")))
    result = train(tiny, tmp_path / "run")
    assert result.exit_code == 1
    assert "RuntimeError: broken" in result.stderr
    assert "Please report it" in result.stderr
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["status"], record["error"]) == ("failed", "RuntimeError: broken")
    assert "Traceback" in (tmp_path / "run" / "log.txt").read_text()


def test_a_failed_run_cannot_be_used(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = train(tiny, tmp_path / "run", "--learning-rate", "1e30")
    assert result.exit_code == 2, result.output
    assert "Training broke down" in result.stderr
    assert "Traceback" not in (tmp_path / "run" / "log.txt").read_text()
    result = invoke("predict", tmp_path / "run", "a rainy day")
    assert result.exit_code == 2
    assert "training failed. Go on with" in result.stderr


def test_ctrl_c_before_the_first_epoch_ends_with_130(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elmo_cli.workflows.train.fit", fails_with(KeyboardInterrupt()))
    result = train(tiny, tmp_path / "run")
    assert result.exit_code == 130
    assert "Interrupted" in result.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "failed"


def raise_keyboard_interrupt() -> None:
    raise KeyboardInterrupt


def raise_sigterm() -> None:
    signal.raise_signal(signal.SIGTERM)


def test_ctrl_c_while_fine_tuning_builds_its_graph_keeps_what_was_learned_before(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, calls = TrainableClassifier.call, []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            signal.raise_signal(signal.SIGTERM)
        return really(*arguments, **named)

    monkeypatch.setattr(TrainableClassifier, "call", interrupted)
    result = train(tiny, tmp_path / "run", "--trainable", "all")
    assert result.exit_code == 143, result.output
    assert "Interrupted; the best epoch so far was saved" in result.stderr
    monkeypatch.undo()
    assert invoke("predict", tmp_path / "run", "a rainy day").exit_code == 0


@pytest.mark.parametrize(("interrupt", "code"), [(raise_keyboard_interrupt, 130), (raise_sigterm, 143)])
def test_ctrl_c_or_sigterm_later_leaves_a_usable_run(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupt: Callable[[], None], code: int
) -> None:
    really, calls = loop._train_epoch, []

    def third_is_interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            interrupt()
        return really(*arguments)

    monkeypatch.setattr(loop, "_train_epoch", third_is_interrupted)
    result = train(tiny, tmp_path / "run", "--epochs", "9")
    assert result.exit_code == code, result.output
    assert "Interrupted; the best epoch so far was saved" in result.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
    assert invoke("predict", tmp_path / "run", "a rainy day").exit_code == 0
