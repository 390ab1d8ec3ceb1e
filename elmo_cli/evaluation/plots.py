"""Pictures of a `Report` and of a training; matplotlib is imported inside, its state stays untouched."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elmo_cli.evaluation.report import Report
from elmo_cli.evaluation.text_table import shorten
from elmo_cli.files import atomic_path

MAX_COUNTED_CLASSES = 20  # with more, the counts would be too small to read
MAX_NAMED_CLASSES = 200  # with more, not every class gets its name
MAX_NAME = 28
VALIDATION = "val_"  # how the name of a validation measure begins
DPI = 120
# Tried in order for letters the first one lacks; those that are not installed are left out.
FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "Hiragino Sans",
    "PingFang SC",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Devanagari",
)


def plot_confusion(report: Report, path: str | Path) -> None:
    """Writes the confusion matrix as a PNG: colour is the share of a true class, numbers are rows.

    The colour goes with the square root of the share, so that rare confusions are seen beside a strong
    diagonal. The picture grows with the number of classes, so that names stay readable; counts are written
    up to 20 classes.

    Args:
        report: What to draw.
        path: The PNG file; it is written in one move.

    Raises:
        RunError: When the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import PowerNorm
    from matplotlib.figure import Figure

    num_classes = len(report.labels)
    cell = float(np.interp(num_classes, [2, 10, 26, 60], [0.9, 0.55, 0.3, 0.15]))  # inches
    side = max(2.4, cell * min(num_classes, MAX_NAMED_CLASSES))
    size = float(np.clip(cell * 72 * 0.6, 6, 10))  # points; letters must fit into a row
    font: dict[str, Any] = {"family": _fonts(), "size": size}
    heading: dict[str, Any] = {"family": font["family"], "size": float(np.clip(side * 1.2, 10, 20))}

    figure = Figure(figsize=(side + 2, side + 2), dpi=DPI)
    FigureCanvasAgg(figure)
    # Inches; bbox_inches="tight" below makes room for the names.
    axes = figure.add_axes((1 / (side + 2), 1 / (side + 2), side / (side + 2), side / (side + 2)))
    bar_axes = figure.add_axes(
        ((side + 1.15) / (side + 2), 1 / (side + 2), 0.15 / (side + 2), side / (side + 2))
    )

    support = report.confusion.sum(axis=1, keepdims=True)
    shares = report.confusion / np.maximum(support, 1)
    colors = PowerNorm(0.5, vmin=0, vmax=1)
    image = axes.imshow(shares, cmap="Blues", norm=colors, interpolation="nearest")
    _name_classes(axes, report, font)
    if num_classes <= MAX_COUNTED_CLASSES:
        _write_counts(axes, report, shares, font)
    axes.set_xlabel("predicted", fontdict=heading)
    axes.set_ylabel("true", fontdict=heading)
    axes.set_title(f"accuracy {report.accuracy:.3f}, macro F1 {report.macro_f1:.3f}", fontdict=heading)
    bar = figure.colorbar(image, cax=bar_axes)
    bar.set_label("share of the true class", fontdict=heading)
    bar.ax.tick_params(labelsize=heading["size"] * 0.8)

    _save(figure, path)


def plot_history(
    epochs: Sequence[int],
    series: Mapping[str, Sequence[float]],
    path: str | Path,
    *,
    best_epoch: int | None = None,
) -> None:
    """Writes learning curves as a PNG: one panel per measure, training and validation in the same one.

    Args:
        epochs: Numbers of the epochs, E of them, rising; at least one.
        series: Name of a measure to its E values, such as ``loss``, ``val_loss``, ``accuracy`` and
            ``val_accuracy``: ``val_x`` is drawn with ``x``. A value that is no number leaves a gap.
        path: The PNG file; it is written in one move.
        best_epoch: Number of the epoch to mark, one of epochs.

    Raises:
        RunError: When the file cannot be written.
        ValueError: For nothing to draw, series of another length, or a best epoch that is not there.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    _check_history(epochs, series, best_epoch)
    panels = list(dict.fromkeys(name.removeprefix(VALIDATION) for name in series))
    figure = Figure(figsize=(3.9 * len(panels), 3.3), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for name, label, style in (
            (panel, "training", {"color": "tab:blue", "linestyle": "--", "marker": "o"}),
            (VALIDATION + panel, "validation", {"color": "tab:orange", "marker": "s"}),
        ):
            if name in series:
                values = np.asarray(series[name], np.float64)
                values = np.where(np.isfinite(values), values, np.nan)
                axes.plot(
                    epochs, values, label=label, linewidth=1.6, markersize=_marker(len(epochs)), **style
                )
        if best_epoch is not None:
            axes.axvline(best_epoch, color="0.45", linestyle=":", label=f"best epoch ({best_epoch})")
        _dress(axes, panel, epochs)
    # One legend below for all panels: it hides no line, and names each once.
    named: dict[str, Any] = {}
    for axes in figure.axes:
        named |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(named.values(), named, loc="outside lower center", ncols=len(named), frameon=False)
    _save(figure, path)


def _check_history(
    epochs: Sequence[int], series: Mapping[str, Sequence[float]], best_epoch: int | None
) -> None:
    """Raises ValueError for what cannot be drawn as learning curves."""
    if len(epochs) == 0 or len(series) == 0:
        raise ValueError("learning curves need at least one epoch and one series")
    for name, values in series.items():
        if len(values) != len(epochs):
            raise ValueError(f"{len(epochs)} epochs need as many values; {name} has {len(values)}")
    if best_epoch is not None and best_epoch not in epochs:
        raise ValueError(f"best_epoch must be one of the epochs; received {best_epoch}")


def _marker(num_epochs: int) -> float:
    """Returns the size of the dots in points; many epochs make a line, a single one must be seen."""
    return float(np.interp(num_epochs, [1, 10, 40], [6, 3.5, 0]))


def _dress(axes: Any, panel: str, epochs: Sequence[int]) -> None:
    """Gives one panel of the learning curves its words, grid and whole numbers of epochs."""
    from matplotlib.ticker import MaxNLocator

    axes.set_title(panel.replace("_", " "), parse_math=False)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(min(epochs) - 0.5, max(epochs) + 0.5)
    axes.grid(color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Any, path: str | Path) -> None:
    """Writes a figure as PNG, whole or not at all."""
    with warnings.catch_warnings(), atomic_path(path) as beside:
        # Without a font for a script its letters become boxes; that is no reason to bother anyone.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        figure.savefig(beside, format="png", bbox_inches="tight", pad_inches=0.15)


def _fonts() -> list[str]:
    """Returns those of our fonts that are installed; matplotlib would complain about the others."""
    from matplotlib import font_manager

    installed = set(font_manager.fontManager.get_font_names())
    return [name for name in FONTS if name in installed]


def _name_classes(axes: Any, report: Report, font: dict[str, Any]) -> None:
    """Writes the class names along both sides, and draws thin lines between cells."""
    num_classes = len(report.labels)
    ticks = np.arange(0, num_classes, -(-num_classes // MAX_NAMED_CLASSES))
    # parse_math off: a label may hold dollar signs.
    names = [shorten(report.labels[tick], MAX_NAME) for tick in ticks]
    options = {"fontdict": font, "parse_math": False}
    axes.set_xticks(ticks, names, rotation=90, **options)
    axes.set_yticks(ticks, names, **options)
    axes.tick_params(length=2)
    edges = np.arange(num_classes - 1) + 0.5
    lines: dict[str, Any] = {"colors": "0.85", "linewidths": 0.4}
    axes.hlines(edges, -0.5, num_classes - 0.5, **lines)
    axes.vlines(edges, -0.5, num_classes - 0.5, **lines)


def _write_counts(axes: Any, report: Report, shares: Any, font: dict[str, Any]) -> None:
    """Writes the number of rows into each cell that has any, light on dark."""
    for row, column in zip(*np.nonzero(report.confusion), strict=True):
        axes.text(
            column,
            row,
            str(report.confusion[row, column]),
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.3 else "black",
            fontdict=font,
        )
