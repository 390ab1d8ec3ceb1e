"""Every dimension of the pooled vectors is brought to mean 0 and about variance 1."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

# A dimension's variance is estimated as if this many more rows with the layer's mean variance had been seen.
PRIOR_ROWS = 10
# Least variance a dimension is taken to have, as a share of the layer's mean variance.
LEAST_SHARE = 0.01
CHUNK_ROWS = 1024


@keras.saving.register_keras_serializable("elmo_cli")
class Standardize(keras.layers.Layer):
    """Subtracts a mean and divides by a deviation, both measured once on the training rows.

    The layers of an ELMo differ in scale, and so do the dimensions of a layer: without this, one step
    size is too large for some and too small for others, and the largest layer rules the mix. Each layer
    is standardised by itself and before the mix, so that the statistics stay right while the mix moves.

    The variances are held in bounds: drawn towards the layer's mean variance when there are few rows,
    and never below a hundredth of it, so that a dimension that hardly moved in training cannot explode
    later. A layer that did not move at all is only centred. Until `adapt` is called nothing is changed.

    Args:
        **kwargs: Those of `keras.layers.Layer`; the layer has no trainable weights.

    Call arguments:
        pooled: Floats (B, L, P).

    Returns:
        float32 (B, L, P), under every dtype policy.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def build(self, pooled_shape: tuple[int | None, ...]) -> None:
        """Makes ``mean`` and ``scale`` (1 / deviation), both (L, P) and not trainable."""
        shape = tuple(pooled_shape[1:])
        for name, initializer in (("mean", "zeros"), ("scale", "ones")):
            weight = self.add_weight(
                name=name,
                shape=shape,
                dtype="float32",
                autocast=False,
                initializer=initializer,
                trainable=False,
            )
            setattr(self, name, weight)

    def adapt(self, pooled: NDArray[Any], rows: NDArray[np.integer[Any]] | None = None) -> None:
        """Measures mean and deviation.

        Args:
            pooled: The training rows, float32 or float16 (R, L, P); read once and in pieces, so that they may
                be a file that is mapped into memory.
            rows: Which of them to measure, integers (N,); a row that is named twice counts twice. None
                stands for all. N is at least 1.

        Raises:
            ValueError: When there is no row.
        """
        num_rows = len(pooled) if rows is None else len(rows)
        if not num_rows:
            raise ValueError("there is no row to measure")
        if not self.built:
            self.build(pooled.shape)
        mean, variance = _mean_and_variance(pooled, rows)
        layer_variance = variance.mean(axis=1, keepdims=True)  # (L, 1)
        variance = (num_rows * variance + PRIOR_ROWS * layer_variance) / (num_rows + PRIOR_ROWS)
        variance = np.maximum(variance, LEAST_SHARE * layer_variance)
        # What rounding leaves of a layer of constants is no variance: it is below float32's resolution.
        resolution = np.finfo(np.float32).eps * np.abs(mean).max(axis=1, keepdims=True)
        moved = np.sqrt(layer_variance) > resolution
        self.mean.assign(mean)
        self.scale.assign(np.where(moved, 1 / np.sqrt(np.where(moved, variance, 1.0)), 1.0))

    def call(self, pooled: Any) -> Any:
        """Standardises; see the class."""
        return (ops.cast(pooled, "float32") - self.mean) * self.scale


def _mean_and_variance(
    pooled: NDArray[Any], rows: NDArray[np.integer[Any]] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Computes mean and variance over the rows, both (L, P), in one pass.

    Reference:
        Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
        variances", equation 2.1.
    """
    if rows is not None:
        rows = np.sort(rows)  # from front to back, as suits a file
    num_rows = len(pooled) if rows is None else len(rows)
    mean, squares = np.zeros(pooled.shape[1:]), np.zeros(pooled.shape[1:])
    for start in range(0, num_rows, CHUNK_ROWS):
        stop = min(start + CHUNK_ROWS, num_rows)
        chunk = pooled[start:stop] if rows is None else pooled[rows[start:stop]]
        chunk = chunk.astype(np.float64)
        chunk_mean = chunk.mean(axis=0)
        chunk -= chunk_mean
        # Sums of squared deviations add up, plus what the two means differ by.
        apart = chunk_mean - mean
        squares += np.square(chunk, out=chunk).sum(axis=0) + np.square(apart) * start * (stop - start) / stop
        mean += apart * (stop - start) / stop
    return mean, squares / num_rows
