"""Poolings side by side, over mixed tokens."""

import numpy as np
import pytest
from layer_battery import check_layer

from elmo_cli.classifier.token_pooling import TokenPooling

VECTORS = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], bool)


def test_battery():
    check_layer(
        TokenPooling,
        {"poolings": ["attention", "max"]},
        (VECTORS, MASK),
        expected_output_shape=(3, 10),
        expected_num_trainable=3,
        unmoved=("kernel", "bias"),  # the query is zero in the first step
    )


def test_poolings_stand_in_their_order():
    pooled = np.asarray(TokenPooling(("max", "attention", "mean"))(VECTORS, MASK))
    for row, length in enumerate([4, 2, 1]):
        tokens = VECTORS[row, :length]
        mean = tokens.mean(axis=0)  # as which attention starts
        np.testing.assert_allclose(pooled[row], [*tokens.max(axis=0), *mean, *mean], atol=1e-6)


@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf, 1e30])
def test_padding_never_enters(padding):
    layer, padded = TokenPooling(), np.full((3, 9, 5), padding, np.float32)
    expected = layer(VECTORS, MASK)
    padded[:, :4][MASK] = VECTORS[MASK]
    mask = np.concatenate([MASK, np.zeros((3, 5), bool)], axis=1)
    np.testing.assert_allclose(layer(padded, mask), expected, atol=1e-6)


@pytest.mark.parametrize("poolings", [(), ("attention", "attention"), ("median",)])
def test_unknown_poolings_are_refused(poolings):
    with pytest.raises(ValueError, match="poolings must be"):
        TokenPooling(poolings)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="must be"):
        TokenPooling()(VECTORS[None], MASK)


def test_the_shape_is_known_before():
    assert TokenPooling(("max", "attention")).pooled_shape((None, None, 5)) == (None, 10)
    with pytest.raises(ValueError, match="known D"):
        TokenPooling().pooled_shape((None, None, None))
