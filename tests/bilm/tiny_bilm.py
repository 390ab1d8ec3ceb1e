"""Small networks with random weights, and what tests of the biLM share."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from bilm.oracle import Oracle

from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.bilm.weights import write_weights

OPTIONS = BiLMOptions(
    CharacterCNNOptions(4, ((1, 3), (2, 4), (3, 5)), num_highway=1),
    LSTMOptions(6, 5, num_layers=2, cell_clip=3.0, projection_clip=3.0, use_skip_connections=True),
)


def tiny_options(*, cnn: dict[str, Any] | None = None, lstm: dict[str, Any] | None = None) -> BiLMOptions:
    """`OPTIONS` with changes."""
    return BiLMOptions(replace(OPTIONS.char_cnn, **cnn or {}), replace(OPTIONS.lstm, **lstm or {}))


def tiny_bilm(options: BiLMOptions = OPTIONS, *, seed: int = 0, scale: float = 0.5) -> BiLM:
    """A network with no weight at zero, biases included."""
    bilm = BiLM(options)
    bilm.build()
    random = np.random.default_rng(seed)
    for weight in bilm.weights:
        weight.assign(random.normal(scale=scale, size=weight.shape))
    return bilm


def oracle_of(bilm: BiLM, folder: Path) -> Oracle:
    """The oracle on the files that the network writes."""
    (folder / "options.json").write_text(bilm.options.to_json())
    write_weights(bilm, folder / "weights.hdf5")
    return Oracle(folder / "options.json", folder / "weights.hdf5")


def layers_of(bilm: BiLM, sentences: Sequence[str]) -> np.ndarray:
    """The layers of space-joined sentences, float32 (B, L, T, 2P)."""
    cnn = bilm.options.char_cnn
    characters = sentence_characters(
        tf.constant(sentences),
        cnn.max_characters_per_token,
        cnn.max_filter_width,
        marks=bilm.options.sentence_marks,
    )
    return bilm(*characters).numpy()
