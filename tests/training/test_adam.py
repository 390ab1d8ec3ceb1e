"""The fused Adam is Keras's Adam."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.training.adam import FusedAdam


def steps(optimizer: keras.optimizers.Optimizer, num_steps: int = 20) -> list[np.ndarray]:
    """Moves a matrix, a vector and a scalar by gradients of changing size; returns them and the state."""
    variables = [keras.Variable(np.full(shape, 0.5)) for shape in [(3, 4), (4,), ()]]
    optimizer.build(variables)
    random = np.random.default_rng(0)
    for step in range(num_steps):
        gradients = [random.normal(scale=10.0 ** (step % 5 - 3), size=one.shape) for one in variables]
        optimizer.apply([tf.constant(one, "float32") for one in gradients], variables)
    return [keras.ops.convert_to_numpy(one) for one in [*variables, *optimizer.variables]]


@pytest.mark.parametrize(
    "arguments",
    [{}, {"learning_rate": 0.1, "beta_1": 0.5, "beta_2": 0.99, "epsilon": 1e-3}, {"clipnorm": 1.0}],
)
def test_it_goes_where_the_one_of_keras_goes_with_the_same_state(arguments):
    ours, theirs = steps(FusedAdam(**arguments)), steps(keras.optimizers.Adam(**arguments))
    assert not np.allclose(ours[0], 0.5)
    for mine, yours in zip(ours, theirs, strict=True):
        # The operation computes 1 - beta_2 in float32, Keras in float64: 1.3e-5 of 0.001.
        np.testing.assert_allclose(mine, yours, rtol=3e-5, atol=1e-7)


def test_gradients_are_clipped_together_as_keras_clips_them():
    # Of the gradients of `steps` some are longer than this, some shorter.
    ours, theirs = steps(FusedAdam(clip_norm=1.0)), steps(keras.optimizers.Adam(global_clipnorm=1.0))
    for mine, yours, free in zip(ours, theirs, steps(FusedAdam()), strict=True):
        np.testing.assert_allclose(mine, yours, rtol=3e-5, atol=1e-7)
        assert mine.shape == () or not np.allclose(mine, free)


def test_a_gradient_of_some_rows_leaves_the_other_rows():
    table = keras.Variable(np.ones((4, 2)))
    optimizer = FusedAdam(0.1)
    optimizer.build([table])
    some = tf.IndexedSlices(tf.constant([[1.0, -1.0]]), tf.constant([2]), dense_shape=tf.constant([4, 2]))
    optimizer.apply([some], [table])
    np.testing.assert_allclose(table, [[1, 1], [1, 1], [0.9, 1.1], [1, 1]], atol=1e-6)


def test_its_settings_come_back():
    optimizer = FusedAdam(0.01, beta_1=0.8, clip_norm=2.0)
    assert FusedAdam.from_config(optimizer.get_config()).get_config() == optimizer.get_config()


def test_amsgrad_is_refused():
    with pytest.raises(ValueError, match="amsgrad"):
        FusedAdam(amsgrad=True)
