"""The mix of ELMo's layers."""

import keras
import numpy as np
import pytest
from layer_battery import check_layer

from elmo_cli.elmo.scalar_mix import ScalarMix


@pytest.fixture
def layers() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)


def test_battery(layers):
    check_layer(ScalarMix, {"l2": 0.01}, layers, expected_output_shape=(2, 5, 4), expected_num_trainable=2)


def test_battery_frozen(layers):
    check_layer(
        ScalarMix,
        {"trainable": False},
        layers,
        expected_output_shape=(2, 5, 4),
        expected_num_trainable=0,
        expected_num_non_trainable=2,
    )


def test_it_starts_as_the_average_of_the_layers(layers):
    np.testing.assert_allclose(ScalarMix()(layers), layers.mean(axis=1), atol=1e-6)


def test_it_agrees_with_numpy(layers):
    mix = ScalarMix()
    mix.build(layers.shape)
    mix.w.assign([0.5, -1.0, 2.0])
    mix.gamma.assign(3.0)
    weights = np.exp([0.5, -1.0, 2.0]) / np.exp([0.5, -1.0, 2.0]).sum()
    expected = 3 * np.einsum("l,bltd->btd", weights, layers)
    np.testing.assert_allclose(mix(layers), expected, atol=1e-5)


def test_shares_are_what_the_layers_count(layers):
    mix = ScalarMix()
    mix.build(layers.shape)
    mix.w.assign(np.log([1.0, 2.0, 5.0]))
    shares = keras.ops.convert_to_numpy(mix.shares())
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, [0.125, 0.25, 0.625], atol=1e-6)
    alone = ScalarMix()
    alone.build((None, 1, 4))
    alone.w.assign([3.0])
    assert keras.ops.convert_to_numpy(alone.shares()).tolist() == [1.0]


def test_the_penalty_falls_on_w_and_not_on_gamma(layers):
    mix = ScalarMix(l2=0.1)
    mix.build(layers.shape)
    mix.w.assign([1.0, 2.0, 3.0])
    mix.gamma.assign(100.0)
    assert sum(float(loss) for loss in mix.losses) == pytest.approx(0.1 * 14)
    mix.trainable = False
    assert not mix.losses


def test_half_precision_layers_are_mixed_in_float32(layers):
    mixed = ScalarMix()(keras.ops.cast(layers, "float16"))
    assert mixed.dtype == "float32"


def test_wrong_use_is_refused():
    with pytest.raises(ValueError, match="at least 0"):
        ScalarMix(l2=-1)
    with pytest.raises(ValueError, match="known L"):
        ScalarMix().build((None, None, 4))
