"""The control of a trained ELMo: the same network before it has read anything."""

from pathlib import Path

import keras

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.weights import write_weights


def write_untrained_elmo(options: BiLMOptions, folder: Path, *, seed: int = 0) -> Path:
    """Writes options.json and weights.hdf5 of a network as elmo-pretrain begins with it.

    Args:
        options: The shape.
        folder: The directory to make.
        seed: Seed of all weights; the same seed gives the same files.

    Returns:
        The directory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(seed)
    bilm = BiLM(options)
    bilm.build()
    (folder / "options.json").write_text(options.to_json())
    write_weights(bilm, folder / "weights.hdf5")
    return folder
