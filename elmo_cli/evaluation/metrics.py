"""From probabilities and true labels to the numbers of a `Report`."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from elmo_cli.errors import DataError
from elmo_cli.evaluation.report import ClassScores, Report
from elmo_cli.evaluation.text_table import shorten

logger = logging.getLogger(__name__)

# A probability below this counts as this, so that one row cannot make the loss infinite; scikit-learn's
# log_loss does the same for float32.
MIN_PROBABILITY = float(np.finfo(np.float32).eps)


def evaluate(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.integer],
    *,
    label_names: Sequence[str],
    true_labels: Sequence[str] | None = None,
) -> Report:
    """Compares predicted probabilities with the truth; the most probable class is the predicted one.

    Rows whose label was never seen in training count as errors: in accuracy, and in F1 as classes of their
    own with recall 0. Only the log loss leaves them out. When no row has a label that training saw, the
    column may be the wrong one, so a warning shows labels of both.

    Args:
        probabilities: float (N, C), rows sum to 1.
        targets: int (N,), true class ids in [0, C), -1 where training never saw the true label.
        label_names: The C label names; their order is the class id.
        true_labels: The N true labels as they stand in the table; needed, and read, only where a target
            is -1.

    Returns:
        The report, with the labels of training in class order followed by the unseen ones, sorted.

    Raises:
        DataError: When there is no row.
        ValueError: For arrays that do not fit together, or probabilities that are no numbers.
    """
    chances, truth = np.asarray(probabilities, np.float64), np.array(targets, np.int64)
    num_rows = len(truth)
    if num_rows == 0:
        raise DataError("There is no row to evaluate. Give a table with at least one labelled row.")
    _check_arrays(chances, truth, len(label_names), true_labels)

    # Give every unseen label a class id after those of training.
    known = truth >= 0
    unseen_rows = np.flatnonzero(~known).tolist()
    unseen = Counter([true_labels[row] for row in unseen_rows] if true_labels is not None else [])
    if not known.any():
        logger.warning(_nothing_known(list(unseen), label_names, num_rows))
    labels = (*label_names, *sorted(unseen))
    if len(set(labels)) < len(labels):
        raise ValueError("a label is given twice, or a label of training has target -1")
    if true_labels is not None:
        ids = {label: index for index, label in enumerate(labels)}
        truth[unseen_rows] = [ids[true_labels[row]] for row in unseen_rows]

    confusion = confusion_matrix(truth, chances.argmax(axis=1), len(labels))
    precision, recall, f1 = precision_recall_f1(confusion)
    support = confusion.sum(axis=1)
    present = support + confusion.sum(axis=0) > 0
    return Report(
        accuracy=float(np.trace(confusion) / num_rows),
        macro_f1=float(f1[present].mean()),
        weighted_f1=float(f1 @ support / num_rows),
        log_loss=log_loss(chances[known], truth[known]) if known.any() else None,
        num_rows=num_rows,
        num_unseen_label_rows=len(unseen_rows),
        unseen_labels={label: unseen[label] for label in sorted(unseen)},
        per_class={
            label: ClassScores(float(precision[k]), float(recall[k]), float(f1[k]), int(support[k]))
            for k, label in enumerate(labels)
        },
        confusion=confusion,
        labels=labels,
    )


def confusion_matrix(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], num_classes: int
) -> NDArray[np.int64]:
    """Counts how often each true class (row) was predicted as each class (column).

    Args:
        truth: int (N,), in [0, K).
        predicted: int (N,), in [0, K).
        num_classes: K.

    Returns:
        int64 (K, K).
    """
    cells = np.bincount(truth * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)


def precision_recall_f1(
    confusion: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Returns precision, recall and F1 of each class, float64 (K,), in [0, 1]; 0 where nothing is counted.

    Args:
        confusion: int64 (K, K), rows true, columns predicted.
    """
    hits = np.diag(confusion).astype(np.float64)
    predicted, support = confusion.sum(axis=0), confusion.sum(axis=1)
    precision = hits / np.maximum(predicted, 1)
    recall = hits / np.maximum(support, 1)
    f1 = 2 * hits / np.maximum(predicted + support, 1)
    return precision, recall, f1


def log_loss(probabilities: NDArray[np.floating], targets: NDArray[np.integer]) -> float:
    """Returns the mean of -log of the probability given to the true class, in nats.

    Args:
        probabilities: float (N, C); rows are brought to sum 1.
        targets: int (N,), in [0, C); at least one.
    """
    probabilities = np.asarray(probabilities, np.float64)
    given = probabilities[np.arange(len(targets)), targets] / probabilities.sum(axis=1)
    return float(-np.log(np.clip(given, MIN_PROBABILITY, 1 - MIN_PROBABILITY)).mean())


def _nothing_known(found: Sequence[str], known: Sequence[str], num_rows: int) -> str:
    """Says that no label of a table was seen in training, with some of both."""

    def some(labels: Sequence[str]) -> str:
        return ", ".join(shorten(label, 32) for label in labels[:5]) + (", ..." if len(labels) > 5 else "")

    no_row = "The only row has no" if num_rows == 1 else f"None of the {num_rows} rows has a"
    return (
        f"{no_row} label that training saw. Found: {some(found)}. "
        f"Training saw: {some(known)}. Is this the right label column?"
    )


def _check_arrays(
    probabilities: NDArray[np.float64],
    targets: NDArray[np.int64],
    num_classes: int,
    true_labels: Sequence[str] | None,
) -> None:
    """Raises ValueError for arrays that do not fit together."""
    if probabilities.shape != (len(targets), num_classes):
        raise ValueError(
            f"{len(targets)} targets and {num_classes} labels need probabilities of shape "
            f"{(len(targets), num_classes)}; received {probabilities.shape}"
        )
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities must be numbers; received NaN or infinity")
    if targets.min() < -1 or targets.max() >= num_classes:
        raise ValueError(
            f"targets must be in [-1, {num_classes}); received {targets.min()} to {targets.max()}"
        )
    if true_labels is None and targets.min() < 0:
        raise ValueError("true_labels is needed where a target is -1")
    if true_labels is not None and len(true_labels) != len(targets):
        raise ValueError(f"{len(targets)} targets need as many true labels; received {len(true_labels)}")
