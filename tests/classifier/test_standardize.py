"""Standardisation: right where there is enough to measure, harmless where there is not."""

import numpy as np
import pytest
from layer_battery import check_layer

from elmo_cli.classifier import standardize
from elmo_cli.classifier.standardize import CHUNK_ROWS, LEAST_SHARE, PRIOR_ROWS, Standardize


def pooled(num_rows: int, scale: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.normal(size=(num_rows, 2, 4)) * [[1.0], [10.0]] * scale + 5).astype(np.float32)


def adapted(rows: np.ndarray) -> Standardize:
    layer = Standardize()
    layer.adapt(rows)
    return layer


def test_battery():
    check_layer(
        Standardize,
        {},
        pooled(3),
        expected_output_shape=(3, 2, 4),
        expected_num_trainable=0,
        expected_num_non_trainable=2,
    )


def test_until_it_has_measured_it_changes_nothing():
    np.testing.assert_array_equal(Standardize()(pooled(3)), pooled(3))


@pytest.mark.parametrize("num_rows", [2000, CHUNK_ROWS + 7])
def test_every_layer_comes_to_mean_0_and_variance_1(num_rows):
    rows = pooled(num_rows)
    result = np.asarray(adapted(rows)(rows))
    np.testing.assert_allclose(result.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(result.var(axis=0), 1, atol=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_pieces_of_a_file_measure_what_numpy_measures_on_the_whole(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(standardize, "CHUNK_ROWS", 64)
    rows = (pooled(200) + 100).astype(dtype)
    rows.tofile(tmp_path / "pooled")
    layer = adapted(np.memmap(tmp_path / "pooled", dtype, mode="r", shape=rows.shape))
    exact = rows.astype(np.float64)
    variance = (200 * exact.var(axis=0) + PRIOR_ROWS * exact.var(axis=0).mean(axis=1, keepdims=True)) / 210
    np.testing.assert_allclose(layer.mean, exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(layer.scale, 1 / np.sqrt(variance), rtol=1e-6)


def test_chosen_rows_are_measured_like_a_copy_of_them():
    rows, chosen = pooled(CHUNK_ROWS + 100), np.array([7, 7, 3, *range(CHUNK_ROWS + 50)])
    layer, expected = Standardize(), adapted(rows[np.sort(chosen)])
    layer.adapt(rows, chosen)
    np.testing.assert_array_equal(layer.mean, expected.mean)
    np.testing.assert_array_equal(layer.scale, expected.scale)


def test_it_agrees_with_the_formula_by_hand():
    rows = np.array([[[0.0, 0.0]], [[2.0, 4.0]]], np.float32)  # variances 1 and 4, their mean 2.5
    layer = adapted(rows)
    np.testing.assert_allclose(layer.mean, [[1, 2]])
    variances = (2 * np.array([1, 4]) + PRIOR_ROWS * 2.5) / (2 + PRIOR_ROWS)
    np.testing.assert_allclose(layer.scale, [1 / np.sqrt(variances)], rtol=1e-6)


def test_a_dimension_that_never_moved_cannot_explode():
    rows = pooled(10_000)
    rows[:, 0, 0] = 0.1
    layer = adapted(rows)
    assert np.asarray(layer.scale)[0, 0] <= 1 / np.sqrt(LEAST_SHARE * 0.7)
    assert np.abs(np.asarray(layer(rows))[:, 0, 0]).max() < 1e-5


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_a_layer_that_never_moved_is_only_centred(value):
    rows = np.full((100, 1, 3), value, np.float32)
    layer = adapted(rows)
    np.testing.assert_array_equal(layer.scale, np.ones((1, 3)))
    np.testing.assert_allclose(layer(rows), 0, atol=1e-6 * max(1, abs(value)))


def tokens_of(*lengths: int) -> np.ndarray:
    """Token vectors (R, L, T, P) of rows with so many tokens each, zeros in the padding."""
    vectors = np.zeros((len(lengths), 2, max(lengths), 4), np.float32)
    values = iter(pooled(sum(lengths)))
    for row, length in zip(vectors, lengths, strict=True):
        for token in range(length):
            row[:, token] = next(values)
    return vectors


def test_the_battery_for_tokens():
    check_layer(
        Standardize,
        {},
        tokens_of(3, 1),
        expected_output_shape=(2, 2, 3, 4),
        expected_num_trainable=0,
        expected_num_non_trainable=2,
    )


@pytest.mark.parametrize("chunk_rows", [1, 7, 1024])
def test_each_token_is_measured_once_and_padding_not_at_all(monkeypatch, chunk_rows):
    monkeypatch.setattr(standardize, "CHUNK_ROWS", chunk_rows)
    vectors, alone = tokens_of(5, 1, 0, 3, 2), pooled(11)
    of_tokens, of_rows = adapted(vectors), adapted(alone)
    np.testing.assert_allclose(of_tokens.mean, of_rows.mean, rtol=1e-6)
    np.testing.assert_allclose(of_tokens.scale, of_rows.scale, rtol=1e-6)
    np.testing.assert_allclose(of_tokens(vectors)[0].numpy().swapaxes(0, 1), of_rows(alone[:5]), atol=1e-5)


def test_chosen_rows_with_tokens_are_measured_like_a_copy_of_them():
    vectors, layer = tokens_of(5, 1, 3), Standardize()
    layer.adapt(vectors, np.array([2, 0, 2]))
    np.testing.assert_array_equal(layer.mean, adapted(vectors[[0, 2, 2]]).mean)


def test_one_row_is_enough_to_go_on():
    assert np.isfinite(adapted(pooled(1))(pooled(5))).all()


def test_no_row_is_refused():
    with pytest.raises(ValueError, match="no row"):
        Standardize().adapt(pooled(0))
    with pytest.raises(ValueError, match="no row"):
        Standardize().adapt(np.zeros((2, 2, 3, 4), np.float32))
