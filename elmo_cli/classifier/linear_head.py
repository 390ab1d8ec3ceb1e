"""A linear head with a penalty is a convex problem, which has one solution."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    from sklearn.linear_model import LogisticRegression

    inputs = np.concatenate([chunk for part in parts for chunk in _head_inputs(classifier, part)])
    targets = np.concatenate([part.targets for part in parts])
    # λ Σ w² beside the mean loss is Σ w² / (2 C N). Of two classes scikit-learn has one column of weights,
    # the difference of two that are half as large each: twice the penalty.
    num_classes = len(np.unique(targets))
    strength = (2 if num_classes == 2 else 1) / (2 * classifier.l2 * len(targets))
    model = LogisticRegression(
        C=strength, max_iter=MAX_ITERATIONS, class_weight="balanced" if balanced else None
    ).fit(inputs, targets)
    kernel, bias = model.coef_.T, model.intercept_
    if num_classes == 2:
        kernel, bias = np.hstack([-kernel, kernel]) / 2, np.array([-bias[0], bias[0]]) / 2
    head = classifier.head.logits_layer
    weights = [np.zeros(weight.shape, np.float32) for weight in head.get_weights()]
    weights[0][:, model.classes_], weights[1][model.classes_] = kernel, bias
    head.set_weights(weights)


def _head_inputs(classifier: PooledClassifier, part: LabelledArrays) -> list[NDArray[Any]]:
    rows = np.arange(len(part)) if part.rows is None else part.rows
    chunks = [part.inputs[rows[start : start + CHUNK_ROWS]] for start in range(0, len(rows), CHUNK_ROWS)]
    return [np.asarray(classifier.head_inputs(chunk.astype(np.float32))) for chunk in chunks]
