"""Steps on batches of differing shapes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.training.batch_steps import BatchSteps

SIGNATURE = {"inputs": tf.TensorSpec([None, 3], "float32")}


def _steps() -> tuple[BatchSteps, keras.Model]:
    keras.utils.set_random_seed(3)
    dense = keras.layers.Dense(2, kernel_regularizer=keras.regularizers.L2(0.1))
    model = keras.Sequential([keras.Input((3,)), dense])
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build(model.trainable_variables)
    forward = lambda batch, training: model(batch["inputs"], training=training)  # noqa: E731
    return BatchSteps(forward, model, model.trainable_variables, optimizer, SIGNATURE), model


def _batch(num_rows: int, weights: list[float]) -> dict[str, np.ndarray]:
    random = np.random.default_rng(num_rows)
    return {
        "inputs": random.normal(size=(num_rows, 3)).astype(np.float32),
        "targets": random.integers(0, 2, num_rows).astype(np.int32),
        "weights": np.array(weights, np.float32),
    }


def test_a_step_is_that_of_the_mean_loss_with_the_penalty():
    steps, model = _steps()
    kernel, bias = (np.array(weight, np.float64) for weight in model.get_weights())
    batch = _batch(4, [1.0, 1.0, 1.0, 1.0])
    loss, weights, correct = (float(one) for one in steps.train(batch))
    logits = batch["inputs"] @ kernel + bias
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.arange(4)
    assert loss == pytest.approx(-np.log(chances[rows, batch["targets"]]).sum(), rel=1e-5)
    assert weights == 4.0
    assert correct == (logits.argmax(axis=1) == batch["targets"]).sum()
    slope = (chances - np.eye(2)[batch["targets"]]) / 4
    np.testing.assert_allclose(
        model.get_weights()[0],
        kernel - 0.5 * (batch["inputs"].T @ slope + 0.2 * kernel),
        rtol=1e-4,
        atol=1e-6,
    )
    np.testing.assert_allclose(model.get_weights()[1], bias - 0.5 * slope.sum(axis=0), rtol=1e-4, atol=1e-6)


def test_rows_of_weight_zero_count_nowhere():
    (ours, model), (theirs, other) = _steps(), _steps()
    batch = _batch(5, [1.0, 2.0, 0.5, 0.0, 0.0])
    short = {name: value[:3] for name, value in batch.items()}
    for one, expected in zip(ours.train(batch), theirs.train(short), strict=True):
        assert float(one) == pytest.approx(float(expected), rel=1e-6)
    for weight, expected in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-6)


def test_evaluating_changes_nothing():
    steps, model = _steps()
    before = model.get_weights()
    batch = _batch(4, [1.0] * 4)
    evaluated, trained = steps.evaluate(batch), None
    for weight, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    trained = steps.train(batch)
    assert [float(one) for one in evaluated] == pytest.approx([float(one) for one in trained])
