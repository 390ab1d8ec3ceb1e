"""Every dimension of the vectors is brought to mean 0 and about variance 1."""

from collections.abc import Iterator
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

    Of token vectors each token counts once. All zeros in all layers mean that there is no token: that is
    not measured. In what `call` gives, such a place has no meaning any more.

    Args:
        **kwargs: Those of `keras.layers.Layer`; the layer has no trainable weights.

    Call arguments:
        vectors: Floats (B, L, P), or of tokens (B, L, T, P).

    Returns:
        float32 of the same shape, under every dtype policy.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def build(self, vectors_shape: tuple[int | None, ...]) -> None:
        """Makes ``mean`` and ``scale`` (1 / deviation), both (L, P) and not trainable."""
        shape = (vectors_shape[1], vectors_shape[-1])
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

    def adapt(self, vectors: NDArray[Any], rows: NDArray[np.integer[Any]] | None = None) -> None:
        """Measures mean and deviation.

        Args:
            vectors: The training rows, float32 or float16 (R, L, P) or (R, L, T, P); read once and in pieces,
                so that they may be a file that is mapped into memory.
            rows: Which of them to measure, integers (N,); a row that is named twice counts twice. None
                stands for all. N is at least 1.

        Raises:
            ValueError: When there is no row, or no token in all of them.
        """
        if not self.built:
            self.build(vectors.shape)
        count, mean, variance = _mean_and_variance(_pieces(vectors, rows))
        layer_variance = variance.mean(axis=1, keepdims=True)  # (L, 1)
        variance = (count * variance + PRIOR_ROWS * layer_variance) / (count + PRIOR_ROWS)
        variance = np.maximum(variance, LEAST_SHARE * layer_variance)
        # What rounding leaves of a layer of constants is no variance: it is below float32's resolution.
        resolution = np.finfo(np.float32).eps * np.abs(mean).max(axis=1, keepdims=True)
        moved = np.sqrt(layer_variance) > resolution
        self.mean.assign(mean)
        self.scale.assign(np.where(moved, 1 / np.sqrt(np.where(moved, variance, 1.0)), 1.0))

    def call(self, vectors: Any) -> Any:
        """Standardises; see the class."""
        mean, scale = self.mean, self.scale
        if len(vectors.shape) == 4:
            mean, scale = mean[:, None], scale[:, None]  # (L, 1, P)
        return (ops.cast(vectors, "float32") - mean) * scale


def _pieces(vectors: NDArray[Any], rows: NDArray[np.integer[Any]] | None) -> Iterator[NDArray[np.float64]]:
    """Yields copies (n, L, P) of the rows, or of their tokens, with n about CHUNK_ROWS."""
    if rows is not None:
        rows = np.sort(rows)  # from front to back, as suits a file
    num_rows = len(vectors) if rows is None else len(rows)
    num_tokens = vectors.shape[2] if vectors.ndim == 4 else 1
    step = max(1, CHUNK_ROWS // num_tokens)
    for start in range(0, num_rows, step):
        chosen = slice(start, start + step)
        piece = vectors[chosen if rows is None else rows[chosen]]
        if piece.ndim == 4:
            # Padding is left out before anything is copied to float64: (n, L, P)
            piece = piece.swapaxes(1, 2)[piece.any(axis=(1, 3))]
        yield piece.astype(np.float64)


def _mean_and_variance(
    pieces: Iterator[NDArray[np.float64]],
) -> tuple[int, NDArray[np.float64], NDArray[np.float64]]:
    """Computes the number of rows in all pieces (n, L, P), and their mean and variance, both (L, P).

    Reference:
        Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample
        variances", equation 2.1.
    """
    count, mean, squares = 0, np.zeros(()), np.zeros(())
    for piece in pieces:
        before, count = count, count + len(piece)
        if count == before:
            continue
        piece_mean = piece.mean(axis=0)
        piece -= piece_mean
        # Sums of squared deviations add up, plus what the two means differ by.
        apart = piece_mean - mean
        squares = (
            squares + np.square(piece, out=piece).sum(axis=0) + np.square(apart) * before * len(piece) / count
        )
        mean = mean + apart * len(piece) / count
    if not count:
        raise ValueError("there is no row to measure")
    return count, mean, squares / count
