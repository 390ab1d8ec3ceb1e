"""Attention over tokens: right by hand, and blind to padding."""

import numpy as np
import pytest
from layer_battery import check_layer

from elmo_cli.classifier.attention import AttentionPooling

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(3, 4, 5)).astype(np.float32)
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]], bool)


@pytest.fixture
def layer() -> AttentionPooling:
    """As if trained: every weight has a value of its own."""
    layer = AttentionPooling(6)
    layer.build(VECTORS.shape)
    layer.set_weights([RANDOM.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def test_battery():
    check_layer(
        AttentionPooling,
        {"width": 6},
        (VECTORS, MASK),
        expected_output_shape=(3, 5),
        expected_num_trainable=3,
        unmoved=("kernel", "bias"),  # the query is zero in the first step
    )


def test_it_starts_as_the_mean():
    pooled = np.asarray(AttentionPooling()(VECTORS, MASK))
    for row, length in enumerate([4, 2, 1]):
        np.testing.assert_allclose(pooled[row], VECTORS[row, :length].mean(axis=0), atol=1e-6)


def test_it_agrees_with_the_formula(layer):
    kernel, bias, query = (weight.astype(np.float64) for weight in layer.get_weights())
    pooled = np.asarray(layer(VECTORS, MASK))
    for row, length in enumerate([4, 2, 1]):
        tokens = VECTORS[row, :length].astype(np.float64)
        weights = np.exp(np.tanh(tokens @ kernel + bias) @ query)
        np.testing.assert_allclose(pooled[row], weights @ tokens / weights.sum(), atol=1e-6)


def test_numbers_by_hand():
    layer = AttentionPooling(1)
    layer.build((None, None, 1))
    # tanh(0.5 * x) * ln 3 / tanh(0.5) is 0 for x = 0 and ln 3 for x = 1: weights 1/4 and 3/4
    layer.set_weights([np.array([[0.5]]), np.zeros(1), np.array([np.log(3) / np.tanh(0.5)])])
    np.testing.assert_allclose(layer(np.array([[[0.0], [1.0]]]), np.ones((1, 2), bool)), [[0.75]], atol=1e-6)


@pytest.mark.parametrize("padding", [np.nan, np.inf, -np.inf, 1e30])
def test_padding_never_enters(layer, padding):
    padded = np.full((3, 9, 5), padding, np.float32)
    padded[:, :4][MASK] = VECTORS[MASK]
    mask = np.concatenate([MASK, np.zeros((3, 5), bool)], axis=1)
    np.testing.assert_allclose(layer(padded, mask), layer(VECTORS, MASK), atol=1e-6)


def test_a_vector_depends_on_its_row_alone(layer):
    together = layer(VECTORS, MASK)
    for row, length in enumerate([4, 2, 1]):
        alone = layer(VECTORS[row : row + 1, :length], np.ones((1, length), bool))
        np.testing.assert_allclose(alone[0], together[row], atol=1e-6)


def test_a_row_without_tokens_becomes_zeros(layer):
    np.testing.assert_array_equal(layer(VECTORS, np.zeros((3, 4), bool)), np.zeros((3, 5)))


def test_large_scores_do_not_overflow(layer):
    layer.query.assign(layer.query * 1e6)
    assert np.isfinite(layer(VECTORS, MASK)).all()


def test_a_width_of_nothing_and_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="width must be at least 1"):
        AttentionPooling(0)
    with pytest.raises(ValueError, match="must be"):
        AttentionPooling()(VECTORS[None], MASK)
