"""The battery that every layer passes, and the shapes of single layers."""

import numpy as np
import pytest
import tensorflow as tf
from bilm.tiny_bilm import OPTIONS
from layer_battery import check_layer

from elmo_cli.bilm.character_cnn import CharacterCNN, Highway
from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.projected_lstm import ProjectedLSTMCell, State

VECTORS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
CHARACTERS = {
    name: value.numpy()
    for name, value in zip(
        ("character_ids", "index", "lengths"),
        sentence_characters(tf.constant(["a bc a", "d"]), 50, 3),
        strict=True,
    )
}


def test_highway() -> None:
    layer = check_layer(Highway, {}, VECTORS, expected_output_shape=(3, 4), expected_num_trainable=4)
    # It starts near the identity: the gate's bias is -2.
    np.testing.assert_allclose(layer.carry_bias, -2.0)


@pytest.mark.parametrize(("activation", "num_highway"), [("relu", 2), ("tanh", 0)])
def test_character_cnn(activation: str, num_highway: int) -> None:
    check_layer(
        CharacterCNN,
        {
            "embedding_dim": 4,
            "filters": [[1, 3], [3, 5]],
            "num_highway": num_highway,
            "projection_dim": 6,
            "activation": activation,
        },
        CHARACTERS["character_ids"],
        expected_output_shape=(5, 6),
        expected_num_trainable=1 + 4 + 4 * num_highway + 2,
    )


def test_projected_lstm_cell() -> None:
    state = State(np.full((3, 2), 0.5, np.float32), np.full((3, 5), -0.5, np.float32))
    check_layer(
        ProjectedLSTMCell,
        {"dim": 5, "projection_dim": 2, "cell_clip": 3.0, "projection_clip": None},
        VECTORS,
        call_arguments={"state": State(*map(tf.constant, state))},
        expected_output_shape=[(3, 2), (3, 5)],
        expected_num_trainable=3,
        symbolic=False,
        mixed_bfloat16=False,
    )


def test_bilm() -> None:
    check_layer(
        BiLM,
        {"options": OPTIONS},
        CHARACTERS,
        expected_output_shape=(2, 3, 3, 10),
        expected_num_trainable=1 + 2 * 3 + 4 + 2 + 4 * 3,
        atol=1e-5,
    )
