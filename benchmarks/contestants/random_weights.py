"""ELMos of known shapes with random weights: speed asks for the shape only."""

from pathlib import Path

import numpy as np

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.bilm.sizes import SIZES
from elmo_cli.bilm.weights import write_weights

SHAPES = {
    # The published model of Peters et al. 2018 ("original").
    "original": BiLMOptions(
        CharacterCNNOptions(16, SIZES["small"].char_cnn.filters, num_highway=2), LSTMOptions(4096, 512)
    ),
    "medium": SIZES["medium"],
    "small": SIZES["small"],
}


def write_random_elmo(options: BiLMOptions, folder: Path, *, seed: int = 0) -> Path:
    """Writes options.json and weights.hdf5 whose activations are about as large as a trained ELMo's.

    A matrix is normal with variance 2 / rows, so that what passes through it neither fades nor grows much;
    the biases are small but not zero, so that a bias put in a wrong place shows.

    Args:
        options: The shape.
        folder: The directory to make.
        seed: Seed of all weights.

    Returns:
        The directory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    bilm = BiLM(options)
    bilm.build()
    for weight in bilm.weights:
        shape = tuple(weight.shape)
        rows = int(np.prod(shape[:-1])) if len(shape) > 1 else 200
        weight.assign(random.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / rows)))
    # A character's vector is looked up, not multiplied.
    embedding = bilm.character_cnn.character_embedding
    embedding.assign(random.uniform(-1, 1, tuple(embedding.shape)))
    (folder / "options.json").write_text(options.to_json())
    write_weights(bilm, folder / "weights.hdf5")
    return folder
