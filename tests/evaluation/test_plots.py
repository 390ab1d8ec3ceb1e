"""Pictures of a report."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from elmo_cli.errors import RunError
from elmo_cli.evaluation.metrics import evaluate
from elmo_cli.evaluation.plots import plot_confusion
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


def test_matplotlib_keeps_its_state_and_is_loaded_only_for_a_picture(tmp_path: Path, project: Path) -> None:
    code = """
import sys
import numpy as np
from elmo_cli.evaluation import metrics, plots
assert not {"matplotlib", "sklearn", "pandas"} & set(sys.modules)
report = metrics.evaluate(np.eye(2), np.arange(2), label_names=["a", "b"])
plots.plot_confusion(report, sys.argv[1])
assert "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.png")], check=True, cwd=project)
