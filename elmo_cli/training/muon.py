"""Muon: steps whose matrices are orthogonal."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from elmo_cli.training.adam import FusedAdam

# The quintic iteration of the reference, which brings singular values near 1 in five steps.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
# How many steps are taken on the Gram matrix of a long matrix before it is computed anew; in bfloat16 five at
# once would diverge. Three, then two come nearer to the result in float32 than one at a time. Those of a
# matrix that is nearly square are taken one at a time: there the Gram matrix is no smaller. So are those of a
# small one: nothing is gained there, and few numbers do not level the errors of bfloat16.
_LONG, _OTHER = (3, 2), (1, 1, 1, 1, 1)
_LEAST_ROWS = 64


class Muon(FusedAdam):
    """Moves matrices by their orthogonalised momentum, and every other variable as Adam does.

    A gradient's few large directions do not drown the many small ones, so a matrix learns more from
    the same number of tokens; `benchmarks/pretrain.py` measures it against Adam.

    Keras's own Muon takes a variable as one matrix, in float32. The kernel of an LSTM is eight of them, and
    the products here may be in bfloat16, where that is fast.

    Args:
        learning_rate: A positive number; of both kinds of steps, for a step of a matrix is scaled to the
            usual size of Adam's.
        grid: From a variable to the rows and columns of equal matrices that it consists of; None for Adam.
        momentum: Share of the momentum that is kept, in [0, 1); Nesterov's variant.
        dtype: Of the products, ``float32`` or ``bfloat16``.
        **kwargs: Those of `keras.optimizers.Adam`, for the other variables.

    Reference:
        Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; the scale is that of Liu et al. 2025,
        arXiv 2502.16982; the steps on the Gram matrix are those of Zhang et al. 2026,
        https://dao-lab.ai/blog/2026/gram-newton-schulz.
    """

    def __init__(
        self,
        learning_rate: float,
        grid: Callable[[keras.Variable], tuple[int, int] | None],
        *,
        momentum: float = 0.95,
        dtype: str = "float32",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.grid = grid
        self.momentum = momentum
        self.dtype = dtype

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the optimizer's state for variables."""
        super().build(variables)
        # `update_step` is given bare TensorFlow variables, which have no path.
        self.grids = [self.grid(variable) for variable in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable; called by `apply`.

        Args:
            gradient: Of the loss by the variable, dense.
            variable: One of those the optimizer was built with.
            learning_rate: Scalar.
        """
        index = self._get_variable_index(variable)
        grid = self.grids[index]
        if grid is None:
            super().update_step(gradient, variable, learning_rate)
            return
        momentum = self._momentums[index]
        self.assign(momentum, self.momentum * momentum + gradient)
        ahead = gradient + self.momentum * momentum
        matrices = _cut(ahead, *grid)
        # An orthogonal matrix of M x N has a root mean square of 1 / sqrt(max(M, N)); Adam's step about 0.2.
        scale = 0.2 * max(matrices.shape[-2:]) ** 0.5
        step = _join(orthogonalise(matrices, self.dtype), *grid)
        self.assign_sub(variable, tf.cast(learning_rate * scale, variable.dtype) * step)


def _cut(whole: tf.Tensor, rows: int, columns: int) -> tf.Tensor:
    """Cuts (rows * M, columns * N) into (rows * columns, M, N)."""
    height, width = whole.shape[0] // rows, whole.shape[1] // columns
    blocks = tf.transpose(tf.reshape(whole, (rows, height, columns, width)), (0, 2, 1, 3))
    return tf.reshape(blocks, (rows * columns, height, width))


def _join(matrices: tf.Tensor, rows: int, columns: int) -> tf.Tensor:
    """Puts together what `_cut` cut."""
    _, height, width = matrices.shape
    blocks = tf.transpose(tf.reshape(matrices, (rows, columns, height, width)), (0, 2, 1, 3))
    return tf.reshape(blocks, (rows * height, columns * width))


def orthogonalise(matrices: tf.Tensor, dtype: str = "float32") -> tf.Tensor:
    """Brings the singular values of matrices near 1 (0.7 to 1.2) and keeps their singular vectors.

    Args:
        matrices: float32 (K, M, N).
        dtype: Of the products.

    Returns:
        float32 (K, M, N).
    """
    high = matrices.shape[-2] > matrices.shape[-1]
    x = tf.linalg.matrix_transpose(matrices) if high else matrices
    norm = tf.sqrt(tf.reduce_sum(x * x, axis=(-2, -1), keepdims=True))
    x = tf.cast(x / (norm + 1e-7), dtype)
    rows, columns = x.shape[-2:]
    for num_steps in _LONG if rows >= _LEAST_ROWS and columns >= 2 * rows else _OTHER:
        x = tf.matmul(_several_steps(tf.matmul(x, x, transpose_b=True), num_steps), x)
    x = tf.cast(x, tf.float32)
    return tf.linalg.matrix_transpose(x) if high else x


def _several_steps(gram: tf.Tensor, num_steps: int) -> tf.Tensor:
    """Returns what a matrix is multiplied by, from the left, in some steps of the iteration.

    Args:
        gram: (K, M, M), the matrix times its transpose.
        num_steps: How many, at least 1.
    """
    product = factor = _one_step(gram)
    for _ in range(num_steps - 1):
        # All of these are polynomials of one symmetric matrix, so their order does not matter.
        gram = tf.matmul(tf.matmul(gram, factor), factor)
        factor = _one_step(gram)
        product = tf.matmul(factor, product)
    return product


def _one_step(gram: tf.Tensor) -> tf.Tensor:
    a, b, c = _COEFFICIENTS
    return a * tf.eye(gram.shape[-1], dtype=gram.dtype) + b * gram + c * tf.matmul(gram, gram)
