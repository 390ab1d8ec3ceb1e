"""What `train` wrote → options.json, weights.hdf5, vocab.txt, softmax.npz, as `elmo-pretrain` leaves them.

    python -m gpu_pretraining.finish DIR --vocabulary DIR/vocab.txt -o ELMO

in `benchmarks/`. `elmo-pretrain --init ELMO` goes on with it and measures it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.bilm.softmax import FILE_NAME, Softmax
from elmo_cli.bilm.vocabulary import Vocabulary
from elmo_cli.bilm.weights import hdf5_names, write_weights

_CELL = "RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell/{name}"


def main() -> None:
    """Reads the arrays and writes the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path)
    parser.add_argument("--vocabulary", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    facts = json.loads((arguments.trained / "facts.json").read_text())
    arrays: dict[str, NDArray[np.float32]] = {}
    for path in sorted(arguments.trained.glob("weights-*.npz")):
        with np.load(path) as file:
            arrays |= {name: file[name].astype(np.float32) for name in file}
    model = language_model(arrays)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "options.json").write_text(model.bilm.options.to_json())
    write_weights(model.bilm, arguments.output / "weights.hdf5", dtype="float16")
    vocabulary = Vocabulary.from_text(arguments.vocabulary.read_text(encoding="utf-8"), cased=False)
    (arguments.output / "vocab.txt").write_text(vocabulary.to_text(), encoding="utf-8")
    softmax = Softmax(vocabulary, arrays["softmax_kernel"], arrays["softmax_bias"])
    softmax.write(arguments.output / FILE_NAME)
    print(json.dumps(facts, indent=2))


def language_model(arrays: dict[str, NDArray[np.float32]]) -> LanguageModel:
    """Returns our own language model with the parameters of `network.new_parameters`."""
    from gpu_pretraining.network_shape import EMBEDDING_DIM, FILTERS

    _, dim, width = arrays["W_P_0"].shape
    options = BiLMOptions(CharacterCNNOptions(EMBEDDING_DIM, FILTERS, num_highway=1), LSTMOptions(dim, width))
    model = LanguageModel(BiLM(options), len(arrays["softmax_bias"]))
    model.build()
    values = {"char_embed": arrays["char_embed"]}
    for i in range(len(FILTERS)):
        values |= {f"CNN/{name}_cnn_{i}": arrays[f"{name}_cnn_{i}"] for name in "Wb"}
    for name in ("W_transform", "b_transform", "W_carry", "b_carry"):
        values[f"CNN_high_0/{name}"] = arrays[name]
    values |= {"CNN_proj/W_proj": arrays["W_proj"], "CNN_proj/b_proj": arrays["b_proj"]}
    for layer in range(2):
        for direction in range(2):
            for ours, name in (("W", "W_0"), ("B", "B"), ("W_P", "W_P_0")):
                key = _CELL.format(direction=direction, layer=layer, name=name)
                values[key] = arrays[f"{ours}_{layer}"][direction]
    for name, variable in hdf5_names(model.bilm).items():
        variable.assign(values.pop(name))
    assert not values
    model.softmax_kernel.assign(arrays["softmax_kernel"])
    model.softmax_bias.assign(arrays["softmax_bias"])
    return model


if __name__ == "__main__":
    main()
