"""Logits that are as sure as they are right."""

import numpy as np
from numpy.typing import NDArray

from elmo_cli.classifier.blend import fit_shares, logarithms
from elmo_cli.classifier.pooled_classifier import PooledClassifier

HIGHEST_TEMPERATURE = 100.0


def calibrate(
    classifier: PooledClassifier,
    probabilities: NDArray[np.float32],
    targets: NDArray[np.int32],
    weights: NDArray[np.float32],
) -> float:
    """Divides a classifier's logits by the temperature that suits rows best; no prediction changes.

    What has learned its training rows by heart is surer than it is right. With few rows the temperature
    stays near 1; see `fit_shares`.

    Args:
        classifier: Its last layer changes.
        probabilities: What it says of N rows that it has not learned from, float32 (N, C).
        targets: Class ids of the rows, int32 (N,), at least 0; N may be 0.
        weights: What each row counts, float32 (N,).

    Returns:
        The temperature, at most `HIGHEST_TEMPERATURE`.

    Reference:
        Guo et al. 2017, "On calibration of modern neural networks", section 4.2.
    """
    (share,) = fit_shares(logarithms(probabilities)[None], targets, weights)
    temperature = 1 / max(share, 1 / HIGHEST_TEMPERATURE)
    layer = classifier.head.logits_layer
    layer.set_weights([weight / temperature for weight in layer.get_weights()])
    return temperature
