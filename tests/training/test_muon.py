import keras
import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.training.adam import FusedAdam
from elmo_cli.training.muon import Muon, orthogonalise


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 6, 17), (2, 20, 5), (2, 64, 256), (1, 160, 72)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_singular_values_come_near_one_and_singular_vectors_stay(shape: tuple, dtype: str) -> None:
    random = np.random.default_rng(1)
    left, _ = np.linalg.qr(random.normal(size=(shape[0], shape[1], min(shape[1:]))))
    right, _ = np.linalg.qr(random.normal(size=(shape[0], shape[2], min(shape[1:]))))
    values = np.geomspace(1.0, 0.03, min(shape[1:]))
    matrices = tf.constant((left * values) @ right.transpose(0, 2, 1), tf.float32)
    found = orthogonalise(matrices, dtype).numpy()
    assert found.dtype == np.float32
    inner = left.transpose(0, 2, 1) @ found @ right
    diagonal = np.einsum("kii->ki", inner)
    assert 0.6 < diagonal.min() <= diagonal.max() < 1.3
    tolerance = 1e-4 if dtype == "float32" else 0.05
    np.testing.assert_allclose(inner - diagonal[:, None] * np.eye(inner.shape[-1]), 0, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(2, 64, 256), (2, 160, 72), (2, 24, 96), (2, 32, 32)])
def test_steps_on_the_gram_matrix_are_those_of_the_iteration(shape: tuple[int, ...], dtype: str) -> None:
    random = np.random.default_rng(4)
    # Values as of real gradients: few large, many small.
    left, values, right = np.linalg.svd(random.normal(size=shape), full_matrices=False)
    matrices = (left * np.geomspace(1.0, 1e-4, values.shape[-1])) @ right
    expected = matrices / np.linalg.norm(matrices, axis=(-2, -1), keepdims=True)
    for _ in range(5):
        gram = expected @ expected.transpose(0, 2, 1)
        expected = 3.4445 * expected + (-4.7750 * gram + 2.0315 * gram @ gram) @ expected
    found = orthogonalise(tf.constant(matrices, tf.float32), dtype).numpy()
    cosine = (found * expected).sum() / np.sqrt((found**2).sum() * (expected**2).sum())
    assert cosine > (0.99999 if dtype == "float32" else 0.98)


def test_matrices_in_a_grid_are_moved_each_for_itself() -> None:
    random = np.random.default_rng(2)
    gradient = random.normal(size=(8, 12)).astype(np.float32)
    gradient[:, 6:] *= 1e-3
    whole = keras.Variable(np.zeros((8, 12), np.float32))
    parts = [keras.Variable(np.zeros((4, 6), np.float32)) for _ in range(4)]
    quarters = [gradient[:4, :6], gradient[:4, 6:], gradient[4:, :6], gradient[4:, 6:]]
    for variables, gradients in (([whole], [gradient]), (parts, quarters)):
        optimizer = Muon(0.01, lambda variable: (variable.shape[0] // 4, variable.shape[1] // 6))
        optimizer.build(variables)
        for _ in range(3):
            optimizer.apply([tf.constant(one) for one in gradients], variables)
    upper, lower = np.concatenate(parts[:2], axis=1), np.concatenate(parts[2:], axis=1)
    np.testing.assert_allclose(whole, np.concatenate([upper, lower]), atol=1e-6)
    # Three steps of the size of Adam's.
    assert 0.01 * 0.2 * 2 < np.sqrt(np.mean(whole.numpy() ** 2)) < 0.01 * 0.2 * 4


def test_other_variables_are_moved_as_by_adam() -> None:
    random = np.random.default_rng(3)
    results = []
    gradients = [tf.constant(random.normal(size=5), tf.float32) for _ in range(4)]
    for optimizer in (FusedAdam(0.01, beta_2=0.9), Muon(0.01, lambda _: None, beta_2=0.9)):
        variable = keras.Variable(np.ones(5, np.float32))
        optimizer.build([variable])
        for gradient in gradients:
            optimizer.apply([gradient], [variable])
        results.append(variable.numpy())
    np.testing.assert_array_equal(*results)
