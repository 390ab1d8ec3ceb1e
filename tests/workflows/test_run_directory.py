"""What is read from a run directory; damaged ones are in tests/cli/test_damaged_runs.py."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from elmo_cli.errors import RunError
from elmo_cli.workflows.run_directory import RunDirectory


def test_a_run_reads_back(tiny: Path) -> None:
    run = RunDirectory(tiny / "run")
    run.check_usable()
    assert run.is_run
    assert run.read_record()["status"] == "complete"
    assert run.read_config().data.train == str(tiny / "train.csv")
    assert run.read_preprocessor().label_set.names == ("kitchen", "sky")


def test_an_interrupted_run_is_usable(run: Path) -> None:
    record = json.loads((run / "run.json").read_text()) | {"status": "interrupted"}
    (run / "run.json").write_text(json.dumps(record))
    RunDirectory(run).check_usable()


def test_metrics_are_added_and_replaced_by_name(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for name, value in (("a", 1), ("b", 2), ("a", 3)):
        run.write_metrics(name, {"accuracy": value})
    assert json.loads(run.metrics.read_text()) == {"a": {"accuracy": 3}, "b": {"accuracy": 2}}


@pytest.mark.parametrize("content", ["[1]", "{", "3"])
def test_damaged_metrics_are_not_overwritten(tmp_path: Path, content: str) -> None:
    run = RunDirectory(tmp_path)
    run.metrics.write_text(content)
    with pytest.raises(RunError, match=r"metrics\.json is damaged"):
        run.write_metrics("a", {})
    assert run.metrics.read_text() == content


def test_a_file_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is not a run directory"):
        RunDirectory(tmp_path / "file").check_usable()


def test_evaluations_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    files = [tmp_path / f"{number}" / "new.csv" for number in range(12)]
    with ThreadPoolExecutor(4) as threads:
        names = list(threads.map(lambda file: run.add_evaluation(file, {"accuracy": 1}), files))
    assert len(set(names)) == 12
    reports = json.loads(run.metrics.read_text())
    assert {name: reports[name]["file"] for name in names} == dict(zip(names, map(str, files), strict=True))


@pytest.mark.parametrize("name", ["valid", "TEST", "x" * 255, "人" * 84 + ".csv"])
def test_names_of_training_and_long_ones_are_not_taken(tmp_path: Path, name: str) -> None:
    found = RunDirectory(tmp_path).add_evaluation(tmp_path / "data" / name, {})
    assert found.casefold() not in ("train", "valid", "test")
    assert len(f"confusion_{found}.png".encode()) <= 255


def test_the_name_of_a_file_need_not_be_utf8(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    name = run.add_evaluation(tmp_path / "caf\udce9.csv", {"accuracy": 1})
    assert json.loads(run.metrics.read_text())[name]["file"] == str(tmp_path / "caf\udce9.csv")
    assert run.add_evaluation(tmp_path / "caf\udce9.csv", {"accuracy": 0}) == name


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="there are no such names of pipes here")
def test_a_pipe_has_the_name_that_was_given(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        name = RunDirectory(tmp_path).add_evaluation(Path(f"/dev/fd/{reading}"), {})
    finally:
        os.close(reading)
        os.close(writing)
    assert name == str(reading)


def test_an_unknown_tokenizer_in_a_run_is_said_with_its_file(run: Path) -> None:
    path = run / "preprocessor.json"
    path.write_text(path.read_text().replace("treebank", "treeboat"))
    with pytest.raises(RunError, match=r"preprocessor\.json is damaged: There is no tokenizer"):
        RunDirectory(run).read_preprocessor()
