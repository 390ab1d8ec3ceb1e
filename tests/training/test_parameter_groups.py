"""Groups of variables: each has its step size, its decay and its beginning."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.training.adam import FusedAdam
from elmo_cli.training.parameter_groups import GroupedAdam, ParameterGroup, slanted_triangular

MATRIX = np.array([[1.0, -2.0], [3.0, 4.0]], np.float32)
GRADIENT = tf.constant([[0.5, -0.1], [0.2, 0.3]])


def _variable(value: np.ndarray = MATRIX) -> keras.Variable:
    return keras.Variable(value)


def test_a_group_of_rate_1_is_plain_adam():
    ours, theirs = _variable(), _variable()
    grouped, plain = GroupedAdam([ParameterGroup((ours,))], 0.1), FusedAdam(0.1)
    for _ in range(3):
        grouped.apply([GRADIENT], [ours])
        plain.apply([GRADIENT], [theirs])
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_rate_scales_the_step():
    whole, third = _variable(), _variable()
    optimizer = GroupedAdam([ParameterGroup((whole,)), ParameterGroup((third,), rate=1 / 3)], 0.1)
    optimizer.apply([GRADIENT, GRADIENT], [whole, third])
    np.testing.assert_allclose(3 * (third.numpy() - MATRIX), whole.numpy() - MATRIX, rtol=1e-5)


def test_matrices_decay_and_vectors_do_not():
    matrix, vector = _variable(), _variable(MATRIX[0])
    optimizer = GroupedAdam([ParameterGroup((matrix, vector), rate=0.5, weight_decay=0.2)], 0.1)
    optimizer.apply([tf.zeros((2, 2)), tf.zeros(2)], [matrix, vector])
    np.testing.assert_allclose(matrix.numpy(), MATRIX * (1 - 0.1 * 0.5 * 0.2), rtol=1e-6)
    np.testing.assert_array_equal(vector.numpy(), MATRIX[0])


def test_a_group_that_begins_later_takes_the_same_first_steps():
    early, late = _variable(), _variable()
    optimizer = GroupedAdam([ParameterGroup((early,)), ParameterGroup((late,), first_step=3)], 0.1)
    early_steps = []
    for step in range(5):
        both = step >= 3
        optimizer.apply([GRADIENT] * (1 + both), [early, late][: 1 + both])
        early_steps.append(early.numpy())
        if both:
            np.testing.assert_allclose(late.numpy(), early_steps[step - 3], rtol=1e-6)
    assert (late.numpy() != MATRIX).all()


def test_the_slanted_triangle_is_that_of_the_paper():
    """Howard & Ruder 2018, equation 3, with a cut at a tenth and a ratio of 32."""
    assert slanted_triangular(0.0, warmup=0.1) == pytest.approx(1 / 32)
    assert slanted_triangular(0.05, warmup=0.1) == pytest.approx((1 + 0.5 * 31) / 32)
    assert slanted_triangular(0.1, warmup=0.1) == pytest.approx(1.0)
    assert slanted_triangular(0.55, warmup=0.1) == pytest.approx((1 + 0.5 * 31) / 32)
    assert slanted_triangular(1.0, warmup=0.1) == pytest.approx(1 / 32)
    assert slanted_triangular(0.0, warmup=0.0) == pytest.approx(1.0)
