"""Pictures of a report and of a training."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elmo_cli.errors import RunError
from elmo_cli.evaluation.metrics import evaluate
from elmo_cli.evaluation.plots import plot_confusion, plot_history
from elmo_cli.evaluation.report import Report

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def report_of(names: list[str]) -> Report:
    targets = np.arange(len(names), dtype=np.int32)
    probabilities = np.full((len(names), len(names)), 1 / len(names), np.float32)
    return evaluate(probabilities, targets, label_names=names)


def size_of(path: Path) -> tuple[int, int]:
    content = path.read_bytes()
    assert content.startswith(SIGNATURE)
    return int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big")


def test_a_picture_grows_with_its_classes(tmp_path: Path) -> None:
    sizes = []
    for num_classes in (2, 26, 60):
        path = tmp_path / "new" / f"{num_classes}.png"
        plot_confusion(report_of([f"class {number}" for number in range(num_classes)]), path)
        sizes.append(size_of(path))
    assert sizes == sorted(sizes)
    assert sizes[0][0] < 1000 < sizes[2][0]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["2.png", "26.png", "60.png"]


@pytest.mark.parametrize(
    "name", ["$x$", "$\\frac{", "人間", "\U0001f642", "a\nb", "", " ", "x" * 500, "שלום"]
)
def test_any_label_can_be_drawn_without_a_warning(tmp_path: Path, name: str) -> None:
    plot_confusion(report_of(["plain", name]), tmp_path / "a.png")
    width, height = size_of(tmp_path / "a.png")
    assert max(width, height) < 1500


def test_more_classes_than_can_be_named_still_make_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elmo_cli.evaluation.plots.MAX_NAMED_CLASSES", 10)
    plot_confusion(report_of([f"class {number}" for number in range(35)]), tmp_path / "a.png")
    assert max(size_of(tmp_path / "a.png")) < 1500


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"a\.png cannot be written"):
        plot_confusion(report_of(["a", "b"]), tmp_path / "file" / "a.png")


def test_each_measure_gets_a_panel_with_its_validation(tmp_path: Path) -> None:
    both = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.5, 1.6]}
    plot_history([1, 2, 3], both, tmp_path / "new" / "one.png", best_epoch=2)
    both |= {"accuracy": [0.5, 0.6, 0.7], "val_accuracy": [0.5, 0.6, 0.5]}
    plot_history([1, 2, 3], both, tmp_path / "new" / "two.png", best_epoch=2)
    (one, _), (two, _) = size_of(tmp_path / "new" / "one.png"), size_of(tmp_path / "new" / "two.png")
    assert 1.8 * one < two < 1000
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["one.png", "two.png"]


def test_what_is_drawn_is_what_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = []
    monkeypatch.setattr("elmo_cli.evaluation.plots._save", lambda figure, path: figures.append(figure))
    series = {"loss": [2.0, float("inf")], "accuracy": [0.5, 0.6], "val_loss": [2.1, 1.5]}
    plot_history([3, 4], series, tmp_path / "a.png", best_epoch=4)
    loss, accuracy = figures[0].axes
    assert [axes.get_title() for axes in (loss, accuracy)] == ["loss", "accuracy"]
    assert [line.get_label() for line in loss.lines] == ["training", "validation", "best epoch (4)"]
    assert [line.get_label() for line in accuracy.lines] == ["training", "best epoch (4)"]
    np.testing.assert_array_equal(loss.lines[0].get_ydata(), [2.0, np.nan])
    assert list(loss.lines[1].get_xdata()) == [3, 4]
    assert list(loss.lines[2].get_xdata()) == [4, 4]
    names = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert names == ["training", "validation", "best epoch (4)"]


@pytest.mark.parametrize("values", [[1.0], [float("nan")], [float("nan"), float("inf")], [0.5] * 300])
def test_any_history_can_be_drawn_without_a_warning(tmp_path: Path, values: list[float]) -> None:
    epochs = list(range(1, len(values) + 1))
    plot_history(epochs, {"loss": values, "a $strange_ name": values}, tmp_path / "a.png")
    assert min(size_of(tmp_path / "a.png")) > 100


@pytest.mark.parametrize(
    ("epochs", "series", "best_epoch", "message"),
    [
        ([], {"loss": []}, None, "at least one epoch and one series"),
        ([1], {}, None, "at least one epoch and one series"),
        ([1, 2], {"loss": [0.5]}, None, "2 epochs need as many values; loss has 1"),
        ([1, 2], {"loss": [0.5, 0.4]}, 3, "best_epoch must be one of the epochs; received 3"),
    ],
)
def test_a_history_that_does_not_fit_is_refused(
    tmp_path: Path, epochs: list[int], series: dict[str, list[float]], best_epoch: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plot_history(epochs, series, tmp_path / "a.png", best_epoch=best_epoch)
    assert list(tmp_path.iterdir()) == []


def test_matplotlib_keeps_its_state_and_is_loaded_only_for_a_picture(tmp_path: Path, project: Path) -> None:
    code = """
import sys
import numpy as np
from elmo_cli.evaluation import metrics, plots
assert not {"matplotlib", "sklearn", "pandas"} & set(sys.modules)
report = metrics.evaluate(np.eye(2), np.arange(2), label_names=["a", "b"])
plots.plot_confusion(report, sys.argv[1])
plots.plot_history([1], {"loss": [1.0]}, sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True, cwd=project)
