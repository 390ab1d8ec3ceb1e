"""Products whose gradient is written out give what automatic differentiation gives."""

import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.bilm.products import times


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_product_and_gradients_are_those_of_matmul(dtype: str) -> None:
    random = np.random.default_rng(0)
    rows, kernel, upstream = (
        tf.constant(random.normal(size=shape), dtype) for shape in ((5, 4), (4, 3), (5, 3))
    )
    found = []
    for multiply in (times, tf.matmul):
        with tf.GradientTape() as tape:
            tape.watch([rows, kernel])
            product = multiply(rows, kernel)
        found.append([product, *tape.gradient(product, [rows, kernel], upstream)])
    for ours, wanted in zip(*found, strict=True):
        assert ours.dtype == wanted.dtype
        ours, wanted = (tf.cast(one, tf.float32).numpy() for one in (ours, wanted))
        np.testing.assert_allclose(ours, wanted, rtol=1e-6 if dtype == "float32" else 1e-2)


def test_variables_get_their_gradient_outside_of_graphs_too() -> None:
    kernel = tf.Variable([[2.0], [3.0]])
    with tf.GradientTape() as tape:
        product = times(tf.constant([[1.0, 4.0]]), kernel)
    np.testing.assert_array_equal(tape.gradient(product, kernel), [[1.0], [4.0]])
