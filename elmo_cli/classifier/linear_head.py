"""A linear head with a penalty is a convex problem, which has one solution."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.classifier.blend import log_softmax
from elmo_cli.classifier.folds import folds
from elmo_cli.classifier.pooled_classifier import PooledClassifier
from elmo_cli.training.arrays import LabelledArrays

CHUNK_ROWS = 256  # token vectors are large
MAX_ITERATIONS = 500


def solve_linear_head(
    classifier: PooledClassifier, parts: Sequence[LabelledArrays], *, balanced: bool = False
) -> None:
    """Gives a linear head the weights that suit some rows best, the rest of the classifier as it is.

    Early stopping by a handful of validation rows would end steps of gradient descent anywhere on the way
    there. Does nothing with hidden layers, or without a penalty, where the best weights may be endless.

    Args:
        classifier: Adapted.
        parts: The rows, in one or more arrays.
        balanced: Whether rows of rare classes count more.
    """
    if not classifier.l2:
        return
    inputs = np.concatenate([_head_inputs(classifier, part) for part in parts])
    targets = np.concatenate([part.targets for part in parts])
    head = classifier.head.logits_layer
    shape = head.get_weights()[0].shape
    head.set_weights(_solution(inputs, targets, classifier.l2 * len(targets), shape[1], balanced=balanced))


def cross_fitted(
    classifier: PooledClassifier, part: LabelledArrays, num_folds: int, *, balanced: bool = False
) -> NDArray[np.float32]:
    """Says of each row what a linear head that is solved on the other folds says of it.

    Args:
        classifier: Adapted, its head linear and with a penalty; it stays as it is.
        part: N training rows.
        num_folds: How many folds.
        balanced: Whether rows of rare classes count more.

    Returns:
        Probabilities, float32 (N, C); NaN where no fold could tell (see `folds`).
    """
    inputs, targets = _head_inputs(classifier, part), part.targets
    num_classes = classifier.head.logits_layer.get_weights()[0].shape[1]
    found = np.full((len(targets), num_classes), np.nan, np.float32)
    for learned, held_out in folds(targets, num_folds):
        # The prior on the weights is that of the whole: its weight against a row does not depend on the rows.
        kernel, bias = _solution(
            inputs[learned], targets[learned], classifier.l2 * len(targets), num_classes, balanced=balanced
        )
        classes = np.unique(targets[learned])
        logits = np.full((len(held_out), num_classes), -np.inf)
        logits[:, classes] = (inputs[held_out] @ kernel + bias)[:, classes]
        found[held_out] = np.exp(log_softmax(logits))
    return found


def _solution(
    inputs: NDArray[Any], targets: NDArray[np.int32], penalty: float, num_classes: int, *, balanced: bool
) -> list[NDArray[np.float32]]:
    """Solves a linear head: kernel (I, C) and bias (C,), zero for classes that no row has.

    Args:
        inputs: float32 (N, I).
        targets: Class ids, int32 (N,).
        penalty: On the sum of squared weights, beside the summed loss.
        num_classes: C.
        balanced: Whether rows of rare classes count more.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # Beside the summed loss scikit-learn has Σ w² / (2 C). Of two classes it has one column of weights,
    # the difference of two that are half as large each: twice the penalty.
    classes = np.unique(targets)
    strength = (2 if len(classes) == 2 else 1) / (2 * penalty)
    model = LogisticRegression(
        C=strength, max_iter=MAX_ITERATIONS, class_weight="balanced" if balanced else None
    )
    with threadpool_limits(limits=1):  # more would only wait for each other in products as small as these
        model.fit(inputs, targets)
    kernel, bias = model.coef_.T, model.intercept_
    if len(classes) == 2:
        kernel, bias = np.hstack([-kernel, kernel]) / 2, np.array([-bias[0], bias[0]]) / 2
    weights = [np.zeros((inputs.shape[1], num_classes), np.float32), np.zeros(num_classes, np.float32)]
    weights[0][:, classes], weights[1][classes] = kernel, bias
    return weights


def _head_inputs(classifier: PooledClassifier, part: LabelledArrays) -> NDArray[np.float32]:
    """Returns what the head reads of each row, float32 (N, I)."""
    rows = np.arange(len(part)) if part.rows is None else part.rows
    chunks = [part.inputs[rows[start : start + CHUNK_ROWS]] for start in range(0, len(rows), CHUNK_ROWS)]
    return np.concatenate([np.asarray(classifier.head_inputs(chunk.astype(np.float32))) for chunk in chunks])
