"""A biLM in PyTorch, as one would write it today; it runs in an environment of its own, without this project.

    python -m venv torch-env && torch-env/bin/pip install torch numpy h5py
    torch-env/bin/python torch_bilm.py --weights DIR --batches batches.json --output vectors.npz

Convolutions over the tokens of a batch, padding left out; packed sequences: sorted by length, so that a step
of the LSTM has as many rows as there are sentences left; the product with the inputs is made once for all.
`torch.nn.LSTM` with ``proj_size`` cannot be used: it knows no clip of memory and output.
"""

import argparse
import json
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch.nn import functional

SENTENCE_BEGIN, SENTENCE_END, TOKEN_BEGIN, TOKEN_END, PADDING = 256, 257, 258, 259, 260


class TorchBiLM:
    """The network with its weights.

    Args:
        weights: The directory with options.json and weights.hdf5.
        precision: ``float32`` or ``bfloat16``, of the products; memory and activations stay in float32.
    """

    def __init__(self, weights: Path, precision: str = "float32") -> None:
        self.options = json.loads((weights / "options.json").read_text())
        self.dtype = getattr(torch, precision)
        with h5py.File(weights / "weights.hdf5") as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            self.weights = {
                name: torch.from_numpy(file[name][...].astype(np.float32)).to(self.dtype) for name in names
            }
        for name in [name for name in names if name.startswith("CNN/W_")]:
            # From (1, width, E, number) to Conv1d's (number, E, width).
            self.weights[name] = self.weights[name][0].permute(2, 1, 0).contiguous()

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> Any:
        """Returns the mean over tokens of each layer, float32 (B, L, 2P), of space-joined sentences."""
        sentences = [text.split(" ") for text in texts]
        order = sorted(range(len(sentences)), key=lambda row: -len(sentences[row]))
        lengths = [len(sentences[row]) + 2 for row in order]
        tokens = self._token_vectors(
            [token for row in order for token in (SENTENCE_BEGIN, *sentences[row], SENTENCE_END)]
        )
        # Row of each sentence's first position; positions in the order in which steps take them.
        first = [0, *accumulate(lengths)]
        steps = [(t, i) for t in range(lengths[0]) for i in range(len(lengths)) if t < lengths[i]]
        counts = torch.bincount(torch.tensor([t for t, _ in steps])).tolist()
        forward = torch.tensor([first[i] + t for t, i in steps])
        backward = torch.tensor([first[i] + lengths[i] - 1 - t for t, i in steps])
        layers = zip(
            self._direction(tokens, forward, counts, 0),
            self._direction(tokens, backward, counts, 1),
            strict=True,
        )
        pooled = [_mean_of_tokens(torch.cat(pair, dim=1).float(), lengths) for pair in layers]
        vectors = torch.empty(len(texts), len(pooled), pooled[0].shape[1])
        vectors[order] = torch.stack(pooled, dim=1)
        return vectors

    def _token_vectors(self, tokens: Sequence[str | int]) -> Any:
        """Convolutions, highways, projection: N tokens -> (N, P)."""
        options, weights = self.options["char_cnn"], self.weights
        characters = torch.tensor([_spell(token, options["max_characters_per_token"]) for token in tokens])
        embedded = weights["char_embed"][characters].transpose(1, 2)  # (N, E, W)
        activate = torch.relu if options["activation"] == "relu" else torch.tanh
        parts = []
        for i, _ in enumerate(options["filters"]):
            convolved = functional.conv1d(embedded, weights[f"CNN/W_cnn_{i}"], weights[f"CNN/b_cnn_{i}"])
            parts.append(activate(convolved.amax(dim=2)))
        vectors = torch.cat(parts, dim=1)
        for i in range(options["n_highway"]):
            carry, transform = (
                torch.addmm(weights[f"CNN_high_{i}/b_{part}"], vectors, weights[f"CNN_high_{i}/W_{part}"])
                for part in ("carry", "transform")
            )
            gate = torch.sigmoid(carry)
            vectors = gate * torch.relu(transform) + (1 - gate) * vectors
        return torch.addmm(weights["CNN_proj/b_proj"], vectors, weights["CNN_proj/W_proj"])

    def _direction(self, tokens: Any, rows: Any, counts: Sequence[int], direction: int) -> list[Any]:
        """Runs one stack of LSTMs over tokens (N, P), read in the order ``rows``; L layers (N, P)."""
        inputs = tokens[rows]
        layers = [inputs]
        for layer in range(self.options["lstm"]["n_layers"]):
            folder = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            outputs = self._lstm(inputs, counts, folder)
            if layer and self.options["lstm"]["use_skip_connections"]:
                outputs = outputs + inputs
            inputs = outputs
            layers.append(outputs)
        back = torch.argsort(rows)
        return [layer[back] for layer in layers]

    def _lstm(self, inputs: Any, counts: Sequence[int], folder: str) -> Any:
        """Runs one LSTM over packed sequences (N, P) with ``counts[t]`` rows in step t."""
        kernel, projection = self.weights[f"{folder}/W_0"], self.weights[f"{folder}/W_P_0"]
        width = inputs.shape[1]
        cell_clip, proj_clip = self.options["lstm"]["cell_clip"], self.options["lstm"]["proj_clip"]
        from_inputs = torch.addmm(self.weights[f"{folder}/B"], inputs, kernel[:width])
        output = torch.zeros(counts[0], width, dtype=self.dtype)
        memory = torch.zeros(counts[0], projection.shape[0])
        outputs = []
        for count, gates in zip(counts, from_inputs.split(list(counts)), strict=True):
            i, j, f, o = torch.addmm(gates, output[:count], kernel[width:]).float().chunk(4, dim=1)
            memory = torch.sigmoid(f + 1) * memory[:count] + torch.sigmoid(i) * torch.tanh(j)
            if cell_clip is not None:
                memory = memory.clamp(-cell_clip, cell_clip)
            output = (torch.sigmoid(o) * torch.tanh(memory)).to(self.dtype) @ projection
            if proj_clip is not None:
                output = output.clamp(-proj_clip, proj_clip)
            outputs.append(output)
        return torch.cat(outputs)


def _spell(token: str | int, width: int) -> list[int]:
    """Returns the characters of a token, or of a sentence mark, which is a single character."""
    spelled = list(token.encode("utf-8")[: width - 2]) if isinstance(token, str) else [token]
    return [TOKEN_BEGIN, *spelled, TOKEN_END] + [PADDING] * (width - 2 - len(spelled))


def _mean_of_tokens(layer: Any, lengths: Sequence[int]) -> Any:
    """Averages (N, 2P) over each sentence's tokens, the marks left out: (B, 2P)."""
    return torch.stack([rows[1:-1].mean(dim=0) for rows in layer.split(list(lengths))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--batches", type=Path, required=True, help="JSON: a list of lists of sentences")
    parser.add_argument("--output", type=Path, required=True, help="npz: vectors (N, L, 2P), seconds ()")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    arguments = parser.parse_args()
    bilm = TorchBiLM(arguments.weights, arguments.precision)
    batches = json.loads(arguments.batches.read_text())
    bilm.encode(batches[0][:16])  # The first call is slower than the others.
    start = time.perf_counter()
    vectors = [bilm.encode(batch).numpy() for batch in batches]
    seconds = time.perf_counter() - start
    np.savez(arguments.output, vectors=np.concatenate(vectors), seconds=seconds)


if __name__ == "__main__":
    main()
