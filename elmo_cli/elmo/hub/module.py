"""A biLM as a TensorFlow Hub module, with the signatures and names of the published google/elmo."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.bilm.characters import ragged_characters
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.weights import checkpoint_names
from elmo_cli.elmo.scalar_mix import ScalarMix

Outputs = dict[str, tf.Tensor]
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"  # follows the names in checkpoints of TensorFlow 2


@dataclass(frozen=True)
class Aggregation:
    """How a module mixes its layers into the output ``elmo``.

    Args:
        weights: float32 (L,), before the softmax.
        scaling: What the sum is multiplied with.
    """

    weights: NDArray[np.float32]
    scaling: float = 1.0

    @classmethod
    def of_mix(cls, mix: ScalarMix) -> Self:
        """Takes the weights and gamma that a classifier has learned."""
        weights, gamma = (keras.ops.convert_to_numpy(value) for value in (mix.w, mix.gamma))
        return cls(weights, float(gamma))

    @classmethod
    def of_module(cls, directory: Path, num_layers: int) -> Self:
        """Takes those of another module; the plain average of the layers where it has none.

        Args:
            directory: Of the module.
            num_layers: L.
        """
        plain = cls(np.zeros(num_layers, np.float32))
        if not (directory / "variables" / "variables.index").is_file():
            return plain
        reader = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
        found = {
            name: reader.get_tensor(key)
            for key in reader.get_variable_to_shape_map()
            for name in ("weights", "scaling")
            if f"/{key.removesuffix(_VALUE)}".endswith(f"/aggregation/{name}")
        }
        weights, scaling = found.get("weights", plain.weights), found.get("scaling", np.float32(1.0))
        if weights.shape != (num_layers,) or scaling.size != 1:
            return plain
        return cls(weights.astype(np.float32), float(scaling.item()))


def write_hub_module(bilm: BiLM, aggregation: Aggregation, directory: str | Path) -> None:
    """Writes a SavedModel that ``hub.load`` and a model server read.

    Signatures, both of which give the same outputs:

    - ``default``: ``strings`` tf.string (B,), split at spaces; a text without a token has one empty token;
    - ``tokens``: ``tokens`` tf.string (B, T) and ``sequence_len`` int32 (B,).

    Outputs, all float32 and zero where there is no token: ``word_emb`` (B, T, P); ``lstm_outputs1``,
    ``lstm_outputs2`` (B, T, 2P), and so on for each layer of LSTMs; ``elmo`` (B, T, 2P), the mix of these
    with ``word_emb`` doubled; ``default`` (B, 2P), the mean of ``elmo`` over the tokens.

    Args:
        bilm: A built network; its vectors are computed in float32.
        aggregation: The mix.
        directory: Where to; made if it is missing.

    Raises:
        OSError, tf.errors.OpError: When it cannot be written.

    Reference: https://tfhub.dev/google/elmo/3.
    """
    network = _Network(bilm)
    root = network.root
    weights = _track(root, "aggregation/weights", aggregation.weights)
    scaling = _track(root, "aggregation/scaling", np.float32(aggregation.scaling))
    dim = bilm.options.dim

    def outputs(tokens: tf.RaggedTensor) -> Outputs:
        layers = network.layers(tokens)  # (B, L, T, 2P)
        shares = tf.nn.softmax(weights)
        elmo = scaling * tf.einsum("l,bltd->btd", shares, layers)
        # Layers are zero beyond the end of a sentence, and so is their mix.
        num_tokens = tf.maximum(tokens.row_lengths(), 1)[:, tf.newaxis]
        default = tf.reduce_sum(elmo, axis=1) / tf.cast(num_tokens, tf.float32)
        lstm = {f"lstm_outputs{layer}": layers[:, layer] for layer in range(1, bilm.options.num_layers)}
        return {"word_emb": layers[:, 0, :, : dim // 2], **lstm, "elmo": elmo, "default": default}

    def from_strings(strings: tf.Tensor) -> Outputs:
        joined = tf.strings.regex_replace(tf.strings.regex_replace(strings, " +", " "), "^ | $", "")
        return outputs(tf.strings.split(joined, " "))

    def from_tokens(tokens: tf.Tensor, sequence_len: tf.Tensor) -> Outputs:
        num_places = tf.shape(tokens)[1]
        found = outputs(tf.RaggedTensor.from_tensor(tokens, lengths=sequence_len))
        padding = num_places - tf.shape(found["elmo"])[1]
        return {
            name: value if name == "default" else tf.pad(value, [[0, 0], [0, padding], [0, 0]])
            for name, value in found.items()
        }

    strings = tf.TensorSpec([None], tf.string, name="strings")
    places = tf.TensorSpec([None, None], tf.string, name="tokens")
    lengths = tf.TensorSpec([None], tf.int32, name="sequence_len")
    root.default = tf.function(from_strings, input_signature=[strings], autograph=False)
    root.tokens = tf.function(from_tokens, input_signature=[places, lengths], autograph=False)
    tf.saved_model.save(root, str(directory), signatures={"default": root.default, "tokens": root.tokens})


class _Network:
    """A biLM that computes with variables of the published names and shapes.

    Args:
        bilm: The network, built; its own variables are not used any more.
    """

    def __init__(self, bilm: BiLM) -> None:
        self.root = tf.Module(name="elmo")
        # The same network in float32, whatever the precision of the one that is given.
        self._bilm = BiLM(bilm.options, "zeros", dtype="float32", trainable=False)
        self._bilm.build()
        self._variables: list[tuple[Any, tuple[int, ...]]] = []
        places = {id(variable): place for place, variable in enumerate(self._bilm.weights)}
        self._order = []
        pairs = zip(checkpoint_names(bilm).items(), checkpoint_names(self._bilm).values(), strict=True)
        for (name, given), variable in pairs:
            value = keras.ops.convert_to_numpy(given).astype(np.float32)
            published = value[np.newaxis] if "/CNN/W_" in name else value
            self._variables.append((_track(self.root, name, published), value.shape))
            self._order.append(places[id(variable)])

    def layers(self, tokens: tf.RaggedTensor) -> tf.Tensor:
        """Computes the layers of split sentences (B, None): float32 (B, L, T, 2P)."""
        options, cnn = self._bilm.options, self._bilm.options.char_cnn
        characters = ragged_characters(
            tokens, cnn.max_characters_per_token, cnn.max_filter_width, marks=options.sentence_marks
        )
        values = [tf.zeros(())] * len(self._order)
        for place, (variable, shape) in zip(self._order, self._variables, strict=True):
            values[place] = tf.reshape(variable, shape)
        layers, _ = self._bilm.stateless_call([], values, *characters)
        return tf.ensure_shape(layers, [None, options.num_layers, None, options.dim])


def _track(root: tf.Module, name: str, value: Any) -> tf.Variable:
    """Makes a variable that a checkpoint of the root holds under this name."""
    *folders, last = name.split("/")
    place = root
    for folder in folders:
        if not hasattr(place, folder):
            setattr(place, folder, tf.Module())
        place = getattr(place, folder)
    variable = tf.Variable(value, name=name)
    setattr(place, last, variable)
    return variable
