"""What is kept of real tokens."""

import numpy as np
import pytest
from layer_battery import check_layer

from elmo_cli.classifier.pooling import MaskedPooling, MaskedTokens

LAYERS = np.random.default_rng(0).normal(size=(3, 2, 4, 5)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], bool)


def test_battery():
    check_layer(
        MaskedPooling,
        {"poolings": ["max", "mean"]},
        (LAYERS, MASK),
        expected_output_shape=(3, 2, 10),
        expected_num_trainable=0,
    )


@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf, 1e30])
def test_padding_never_enters(padding):
    layers = LAYERS.copy()
    layers[1, :, 2:] = layers[2, :, 1:] = padding
    pooled = np.asarray(MaskedPooling(("mean", "max"))(layers, MASK))
    for row, length in enumerate([4, 2, 1]):
        np.testing.assert_allclose(pooled[row, :, :5], LAYERS[row, :, :length].mean(axis=1), atol=1e-6)
        np.testing.assert_array_equal(pooled[row, :, 5:], LAYERS[row, :, :length].max(axis=1))


def test_negative_values_are_not_lost_to_zeros_in_padding():
    pooled = MaskedPooling(("max",))(
        np.full((1, 1, 3, 1), -2.0, np.float32), np.array([[True, False, False]])
    )
    assert float(pooled[0, 0, 0]) == -2.0


def test_more_padding_changes_no_bit():
    padded = np.concatenate([LAYERS, np.full((3, 2, 9, 5), np.nan, np.float32)], axis=2)
    mask = np.concatenate([MASK, np.zeros((3, 9), bool)], axis=1)
    np.testing.assert_allclose(MaskedPooling()(padded, mask), MaskedPooling()(LAYERS, MASK), atol=1e-6)


def test_a_row_without_tokens_becomes_zeros():
    pooled = MaskedPooling()(LAYERS, np.zeros((3, 4), bool))
    np.testing.assert_array_equal(pooled, np.zeros((3, 2, 10)))


@pytest.mark.parametrize("poolings", [(), ("mean", "mean"), ("median",), ("attention",)])
def test_unknown_poolings_are_refused(poolings):
    with pytest.raises(ValueError, match="poolings must be"):
        MaskedPooling(poolings)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="must be"):
        MaskedPooling()(LAYERS[:, 0], MASK)


def test_the_battery_of_tokens():
    check_layer(
        MaskedTokens, {}, (LAYERS, MASK), expected_output_shape=(3, 2, 4, 5), expected_num_trainable=0
    )


def test_tokens_stay_as_they_are_and_padding_becomes_zeros():
    layers = LAYERS.copy()
    layers[1, :, 2:] = layers[2, :, 1:] = np.nan
    tokens = np.asarray(MaskedTokens()(layers, MASK))
    for row, length in enumerate([4, 2, 1]):
        np.testing.assert_array_equal(tokens[row, :, :length], LAYERS[row, :, :length])
        np.testing.assert_array_equal(tokens[row, :, length:], 0)
