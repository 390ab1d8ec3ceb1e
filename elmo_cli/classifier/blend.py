"""What each of several opinions counts when they are joined."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# The shares are drawn towards equal ones that sum to 1, as if they varied by so much around them: with few
# rows they stay there, with many they go where the rows say.
SHARE_DEVIATION = 0.2
LEAST_PROBABILITY = 1e-30  # what a probability of 0 counts as; its logarithm must be a number


def logarithms(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns finite logarithms of probabilities, of the same shape."""
    return np.log(np.maximum(probabilities.astype(np.float64), LEAST_PROBABILITY))


def log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns logarithms of probabilities over the last axis, of the same shape."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def fit_shares(
    parts: NDArray[np.float64], targets: NDArray[np.int32], weights: NDArray[np.float32]
) -> tuple[float, ...]:
    """Finds the shares s, at least 0, with which ``softmax(Σ s_k · parts_k)`` suits the rows best.

    It is a convex problem: the loss is the cross-entropy summed over the rows, plus
    ``Σ (s_k - 1/K)² / (2 · SHARE_DEVIATION²)``.

    Args:
        parts: Logarithms of the probabilities that K parts give, float64 (K, N, C), finite, of rows that
            none of the parts has learned from; N may be 0.
        targets: Class ids, int32 (N,), at least 0.
        weights: What each row counts, float32 (N,).

    Returns:
        K shares.

    Reference:
        Hinton 2002, "Training products of experts by minimizing contrastive divergence", section 1, for
        the product; Platt 1999 and Guo et al. 2017 for such a temperature fitted on held-out rows.
    """
    from scipy.optimize import minimize  # type: ignore[import-untyped]

    start = np.full(len(parts), 1 / len(parts))
    rows = np.arange(len(targets))

    def loss_and_gradient(shares: NDArray[np.float64]) -> tuple[float, NDArray[Any]]:
        found = log_softmax(np.tensordot(shares, parts, axes=1))
        drawn = (shares - start) / SHARE_DEVIATION**2
        error = np.exp(found)
        error[rows, targets] -= 1
        gradient = (parts * (error * weights[:, None])).sum(axis=(1, 2)) + drawn
        return float(-(found[rows, targets] @ weights) + drawn @ (shares - start) / 2), gradient

    found = minimize(loss_and_gradient, start, jac=True, bounds=[(0, None)] * len(parts))
    return tuple(float(share) for share in found.x)
