"""The table of benchmarks/quality.py: same rows for all, nothing measured twice, honest contestants."""

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from tiny_run import invoke, write_csv


@pytest.fixture(scope="module")
def modules(project: Path) -> Iterator[SimpleNamespace]:
    """The script and what it is made of, found as from benchmarks/ itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project / "benchmarks")
        names = ["quality", "results", "documents"]
        parts = ["classifiers", "elmo_train", "fasttext_classifier", "tasks", "tfidf", "untrained"]
        found = {name: importlib.import_module(name) for name in names}
        found |= {name: importlib.import_module(f"contestants.{name}") for name in parts}
        yield SimpleNamespace(**found)


@pytest.fixture
def colours(modules: SimpleNamespace, tmp_path: Path) -> Any:
    """A set of 60 rows: 40 red, 18 blue, 2 green."""
    folder = tmp_path / "colours"
    folder.mkdir()
    labels = ["red"] * 40 + ["blue"] * 18 + ["green"] * 2
    write_csv(folder / "train.csv", [(f"text {number}", label) for number, label in enumerate(labels)])
    write_csv(folder / "test.csv", [("NA", "red"), ("a, b", "1"), ("c", "blue"), ("d", "red")])
    return modules.tasks.Dataset(folder)


def test_draws_hold_each_class_in_proportion_and_are_the_same_for_all(colours: Any) -> None:
    drawn = colours.task("30", 0).train
    assert drawn["label"].value_counts().to_dict() == {"red": 20, "blue": 9, "green": 1}
    pd.testing.assert_frame_equal(colours.task("30", 0).train, drawn)
    assert set(colours.task("30", 1).train["text"]) != set(drawn["text"])
    assert len(colours.task("all", 1).train) == 60


def test_a_set_leaves_out_sizes_that_it_has_not(colours: Any) -> None:
    assert colours.sizes(["10", "60", "100", "all"]) == ["10", "all"]
    assert colours.sizes(["10"]) == ["10"]


def test_cells_stay_what_they_are_and_unseen_labels_count_as_wrong(colours: Any) -> None:
    task = colours.task("all", 0)
    assert task.test["text"].tolist() == ["NA", "a, b", "c", "d"]
    assert task.accuracy(["red", "red", "blue", "blue"]) == 0.5


def test_another_table_is_another_set(modules: SimpleNamespace, colours: Any, tmp_path: Path) -> None:
    write_csv(tmp_path / "colours" / "test.csv", [("NA", "red")])
    assert modules.tasks.Dataset(tmp_path / "colours").fingerprint != colours.fingerprint


class Constant:
    """A contestant that is as right as it is told to be, the draw's seed more; it counts its tasks."""

    def __init__(self, percent: float) -> None:
        self.percent, self.num_tasks = percent, 0

    def __call__(self, task: Any) -> float:
        self.num_tasks += 1
        return (self.percent + 3 * task.seed) / 100


@pytest.fixture
def grid(modules: SimpleNamespace, colours: Any) -> Callable[..., Any]:
    """Makes grids of contestants on the set."""

    def make(num_seeds: int = 2, weights: str = "", **contestants: Callable[[Any], float]) -> Any:
        line_up = [modules.classifiers.Classifier(name, way, weights) for name, way in contestants.items()]
        return modules.quality.Grid([colours], line_up, ["10", "100", "all"], num_seeds)

    return make


def test_the_table_shows_mean_and_sample_deviation(
    modules: SimpleNamespace, grid: Callable[..., Any], tmp_path: Path
) -> None:
    results = modules.results.ResultsFile(tmp_path / "results.jsonl")
    some = grid(3, poor=Constant(50), rich=Constant(75.25))
    some.measure(results)
    assert some.table(results).splitlines() == [
        "| set | rows | poor | rich |",
        "|---|---|---|---|",
        "| colours | 10 | 53.0 ± 3.0 | 78.2 ± 3.0 |",  # of 50, 53, 56
        "| colours | all 60 | 53.0 ± 3.0 | 78.2 ± 3.0 |",
    ]
    assert grid(1, poor=Constant(0)).table(results).endswith("| colours | all 60 | 50.0 |")


def test_what_is_in_the_file_is_not_measured_again(
    modules: SimpleNamespace, grid: Callable[..., Any], tmp_path: Path
) -> None:
    path = tmp_path / "results.jsonl"
    first = grid(poor=(poor := Constant(50)))
    first.measure(modules.results.ResultsFile(path))
    assert poor.num_tasks == 4
    with open(path, "a") as file:
        file.write('{"dataset": "colo')  # killed while it wrote
    rich = Constant(70)
    both = grid(poor=poor, rich=rich)
    both.measure(modules.results.ResultsFile(path))
    assert (poor.num_tasks, rich.num_tasks) == (4, 4)
    assert both.table(modules.results.ResultsFile(path)).splitlines()[2:] == [
        "| colours | 10 | 51.5 ± 2.1 | 71.5 ± 2.1 |",
        "| colours | all 60 | 51.5 ± 2.1 | 71.5 ± 2.1 |",
    ]
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 8


def test_other_weights_are_measured_anew(
    modules: SimpleNamespace, grid: Callable[..., Any], tmp_path: Path
) -> None:
    results = modules.results.ResultsFile(tmp_path / "results.jsonl")
    grid(weights="one", elmo=Constant(50)).measure(results)
    grid(weights="two", elmo=(elmo := Constant(60))).measure(results)
    assert elmo.num_tasks == 4
    assert "51.5" in grid(weights="one", elmo=elmo).table(results)


def test_a_part_of_a_document_is_replaced_and_nothing_else(modules: SimpleNamespace, tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text("before\n<!-- q.py: begin -->\nold\n\n| é |\n<!-- q.py: end -->\nafter")
    for content in ("| ± |\n", "| new |"):
        modules.documents.Part(document, "q.py").write(content)
    expected = "before\n<!-- q.py: begin -->\n| new |\n<!-- q.py: end -->\nafter"
    assert document.read_text(encoding="utf-8") == expected


@pytest.mark.parametrize("lines", [[], ["begin"], ["end", "begin"], ["begin", "begin", "end"]])
def test_a_document_without_its_markers_is_named(
    modules: SimpleNamespace, tmp_path: Path, lines: list[str]
) -> None:
    document = tmp_path / "README.md"
    document.write_text("\n".join(f"<!-- q.py: {line} -->" for line in lines))
    with pytest.raises(SystemExit, match=r"README.md: there must be a line <!-- q.py: begin -->"):
        modules.documents.Part(document, "q.py").check()


@pytest.fixture(scope="module")
def weather(modules: SimpleNamespace, tiny: Path) -> Any:
    """All rows of the tiny tables."""
    return modules.tasks.Dataset(tiny).task("all", 5)


@pytest.mark.parametrize("name", ["tfidf", "fasttext"])
def test_baselines_learn(modules: SimpleNamespace, weather: Any, name: str) -> None:
    if name == "fasttext":
        pytest.importorskip("fasttext")
    way = modules.tfidf.tfidf if name == "tfidf" else modules.fasttext_classifier.fasttext
    known = type(weather)(weather.train, weather.train, 5)
    assert way(known) >= 0.9
    swapped = known.train.assign(label=known.train["label"].map({"kitchen": "sky", "sky": "kitchen"}))
    assert way(type(weather)(weather.train, swapped, 5)) == pytest.approx(1 - way(known))


def test_with_an_elmo_it_is_elmo_train(
    modules: SimpleNamespace, weather: Any, tiny: Path, tmp_path: Path
) -> None:
    few = {"training.epochs": 2, "classifier.hidden": (4,)}
    training = modules.elmo_train.ElmoTrain(str(tiny / "elmo"), few)
    tables = [tiny / "train.csv", "--test", tiny / "test.csv", "--elmo", tiny / "elmo", "--seed", "5"]
    options = [*tables, "--epochs", "2", "--hidden", "4", "--no-cache"]
    for found, features in ((training.together, "elmo+tfidf"), (training.alone, "elmo")):
        run = tmp_path / features
        result = invoke("train", *options, "-o", run, "--features", features)
        assert result.exit_code == 0, result.output
        assert found(weather) == json.loads((run / "metrics.json").read_text())["test"]["accuracy"]


def test_the_untrained_elmo_has_the_shape_of_the_other_and_is_always_the_same(
    modules: SimpleNamespace, tiny: Path, tmp_path: Path
) -> None:
    from elmo_cli.bilm.options import BiLMOptions
    from elmo_cli.elmo.source import resolve

    options = BiLMOptions.from_json(tiny / "elmo" / "options.json")
    written = [modules.untrained.write_untrained_elmo(options, tmp_path / name) for name in "ab"]
    one, other = (resolve(str(folder)) for folder in written)
    assert BiLMOptions.from_json(one.options_path) == options
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != resolve(str(tiny / "elmo")).fingerprint


def test_the_script_prints_the_table_and_goes_on(
    modules: SimpleNamespace, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(tiny), "--elmo", str(tiny / "elmo"), "--rows", "20", "--seeds", "1"]
    arguments += ["--only", "TF-IDF", "--output", str(tmp_path / "new" / "results.jsonl")]
    modules.quality.main(arguments)
    answer = capsys.readouterr()
    lines = answer.out.splitlines()
    assert lines[:2] == ["| set | rows | TF-IDF |", "|---|---|---|"]
    assert 0 <= float(lines[2].split("|")[3]) <= 100
    assert "20 rows, seed 0, TF-IDF: " in answer.err
    modules.quality.main(arguments)
    again = capsys.readouterr()
    assert again.out == answer.out
    assert "seed 0" not in again.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nobody"], "--only nobody: there is TF-IDF"),
        (["--rows", "1"], "1 rows are too few to learn from"),
        (["--write"], "--write is for the bundled ELMo"),
    ],
)
def test_wrong_use_is_refused(
    modules: SimpleNamespace,
    tiny: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    output = ["--output", str(tmp_path / "results.jsonl")]
    with pytest.raises(SystemExit):
        modules.quality.main([str(tiny), "--elmo", str(tiny / "elmo"), *output, *arguments])
    assert message in capsys.readouterr().err
