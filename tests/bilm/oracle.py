"""ELMo in plain NumPy, written from the published file layout, one sentence at a time, in float64.

Nothing is imported from the project. Layout and arithmetic are those of allenai/bilm-tf (`bilm/model.py`,
`bilm/data.py`) and AllenNLP (`elmo.py`, `elmo_lstm.py`, `lstm_cell_with_projection.py`).
"""

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

BOS, EOS = object(), object()
State = tuple[np.ndarray, np.ndarray]


def character_ids(token: object, width: int) -> list[int]:
    """A begin mark (258), bytes, an end mark (259), padding (260); 256 and 257 mark the sentence's ends."""
    content = [256] if token is BOS else [257] if token is EOS else list(token.encode("utf-8"))
    ids = [258, *content[: width - 2], 259]
    return ids + [260] * (width - len(ids))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x))


def clip(x: np.ndarray, bound: float | None) -> np.ndarray:
    return x if bound is None else np.clip(x, -bound, bound)


class Oracle:
    def __init__(self, options: Path, weights: Path):
        self.options = json.loads(options.read_text())
        self.has_marks = self.options.get("sentence_marks", True)  # a key of ours, for modules without
        self.weights: dict[str, np.ndarray] = {}
        with h5py.File(weights) as file:
            file.visititems(
                lambda name, item: (
                    self.weights.update({name: self.as_read(name, item[...])})
                    if isinstance(item, h5py.Dataset)
                    else None
                )
            )

    @staticmethod
    def as_read(name: str, value: np.ndarray) -> np.ndarray:
        """AllenNLP's `load_weights` adds the forget gate's 1 to the array in the type of the file."""
        if name.endswith("/B"):
            size = len(value) // 4
            value[2 * size : 3 * size] += 1
        return value.astype(np.float64)

    def token_vector(self, token: object) -> np.ndarray:
        """The context-free vector, (P,)."""
        cnn, weights = self.options["char_cnn"], self.weights
        characters = weights["char_embed"][character_ids(token, cnn["max_characters_per_token"])]
        best = []
        for i, (width, _) in enumerate(cnn["filters"]):
            kernel, bias = weights[f"CNN/W_cnn_{i}"][0], weights[f"CNN/b_cnn_{i}"]
            windows = [characters[at : at + width] for at in range(len(characters) - width + 1)]
            best.append(np.max([np.tensordot(window, kernel, 2) + bias for window in windows], axis=0))
        x = np.concatenate(best)
        x = np.maximum(x, 0) if cnn["activation"] == "relu" else np.tanh(x)
        for i in range(cnn["n_highway"]):
            name = f"CNN_high_{i}"
            carry = sigmoid(x @ weights[f"{name}/W_carry"] + weights[f"{name}/b_carry"])
            new = np.maximum(x @ weights[f"{name}/W_transform"] + weights[f"{name}/b_transform"], 0)
            x = carry * new + (1 - carry) * x
        return x @ weights["CNN_proj/W_proj"] + weights["CNN_proj/b_proj"]

    def lstm(
        self, direction: int, layer: int, inputs: Sequence[np.ndarray], state: State
    ) -> tuple[list, State]:
        """Outputs of one LSTM over a sequence, and its last state."""
        lstm, weights = self.options["lstm"], self.weights
        name = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
        h, c = state
        outputs = []
        for x in inputs:
            i, j, f, o = np.split(np.concatenate([x, h]) @ weights[f"{name}/W_0"] + weights[f"{name}/B"], 4)
            c = clip(sigmoid(f) * c + sigmoid(i) * np.tanh(j), lstm["cell_clip"])
            h = clip((sigmoid(o) * np.tanh(c)) @ weights[f"{name}/W_P_0"], lstm["proj_clip"])
            outputs.append(h)
        return outputs, (h, c)

    def zero_states(self) -> list[list[State]]:
        """One state per direction and layer."""
        lstm = self.options["lstm"]
        zero = (np.zeros(lstm["projection_dim"]), np.zeros(lstm["dim"]))
        return [[zero] * lstm["n_layers"] for _ in range(2)]

    def read(
        self, tokens: Sequence[str], states: list[list[State]] | None = None
    ) -> tuple[np.ndarray, list[list[State]]]:
        """Reads a sentence in both directions.

        Returns:
            (2, L, T + 2, P): directions, layers (the token layer first), positions with the two sentence
            marks, width; and the last states.
        """
        states = states or self.zero_states()
        begin, end = ((BOS,), (EOS,)) if self.has_marks else ((), ())
        vectors = [self.token_vector(token) for token in (*begin, *tokens, *end)]
        directions, last = [], []
        for direction in range(2):
            inputs = vectors[:: -1 if direction else 1]
            layers, after = [inputs], []
            for layer in range(self.options["lstm"]["n_layers"]):
                outputs, state = self.lstm(direction, layer, inputs, states[direction][layer])
                if layer and self.options["lstm"]["use_skip_connections"]:
                    outputs = [output + x for output, x in zip(outputs, inputs, strict=True)]
                after.append(state)
                layers.append(outputs)
                inputs = outputs
            directions.append([one[:: -1 if direction else 1] for one in layers])
            last.append(after)
        return np.asarray(directions), last

    def layers(self, tokens: Sequence[str]) -> np.ndarray:
        """What ELMo gives for a sentence of its own: (L, T, 2P), without the sentence marks."""
        forward, backward = self.read(tokens)[0]
        both = np.concatenate([forward, backward], axis=-1)
        return both[:, 1:-1] if self.has_marks else both
