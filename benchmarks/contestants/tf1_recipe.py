"""ELMo as it was used in 2018: a TensorFlow 1 graph in which each batch is run.

The graph is that of bilm-tf and of the module google/elmo, signature ``default``: strings in, the characters
of every position of the padded batch through the convolutions, one `while_loop` with one step per token for
each direction and layer, everything in float32. The loop does what `tf.compat.v1.nn.dynamic_rnn` does: it
stops after the longest sentence of the batch, copies states through beyond a sentence's end, and leaves zeros
there. (`dynamic_rnn` itself, and its LSTMCell, cannot be had under Keras 3.) As with the module, and unlike
in bilm-tf, every sentence starts from a state of zeros.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

tf1 = tf.compat.v1
SENTENCE_BEGIN, SENTENCE_END, TOKEN_BEGIN, TOKEN_END, PADDING = 256, 257, 258, 259, 260


class TF1Recipe:
    """The graph with its weights, in a session.

    Args:
        weights: The directory with options.json and weights.hdf5.

    Attributes:
        graph: The graph, to which a head can be added.
        texts: Placeholder of string (B,), tokens joined by single spaces.
        padded_to: Placeholder of the number T of tokens to which every sentence is padded.
        pooled: float32 (B, L, 2P), the mean over the tokens of each layer.
        session: The session that holds the weights.
    """

    def __init__(self, weights: Path) -> None:
        self._options = json.loads((weights / "options.json").read_text())
        self._file = h5py.File(weights / "weights.hdf5")
        self._feed: dict[Any, NDArray[np.float32]] = {}
        self.graph = tf.Graph()
        with self._file, self.graph.as_default():
            self.texts = tf1.placeholder(tf.string, [None])
            self.padded_to = tf1.placeholder(tf.int32, [])
            characters, lengths = self._characters()
            layers = self._layers(self._token_vectors(characters), lengths)
            self.pooled = tf.stack([mean_of_tokens(layer, lengths) for layer in layers], axis=1)
            self.session = tf1.Session()
            self.session.run(tf1.global_variables_initializer(), self._feed)
        self._feed.clear()

    def encode(self, texts: Sequence[str], padded_to: int | None = None) -> NDArray[np.float32]:
        """Returns (B, L, 2P) for a batch, padded to so many tokens or to its own longest sentence."""
        padded_to = padded_to or max(text.count(" ") + 1 for text in texts)
        return self.session.run(self.pooled, {self.texts: list(texts), self.padded_to: padded_to})

    def _variable(self, name: str) -> Any:
        """Makes a variable of a weight; it is fed once, for 374 MB do not belong into a graph."""
        value = self._file[name][...].astype(np.float32)
        initial = tf1.placeholder(tf.float32, value.shape)
        self._feed[initial] = value
        return tf1.Variable(initial, use_resource=True)

    def _characters(self) -> tuple[Any, Any]:
        """Spells every position, padding and sentence marks included: (B, T + 2, W), and lengths (B,)."""
        width = self._options["char_cnn"]["max_characters_per_token"]
        ragged = tf.strings.split(self.texts, sep=" ")
        lengths = tf.cast(ragged.row_lengths(), tf.int32)
        tokens = ragged.to_tensor("", shape=[tf.size(self.texts), self.padded_to])
        # The bytes of each token, then its two marks.
        num_bytes = tf.minimum(tf.strings.length(tokens), width - 2)[:, :, None]
        spelled = tf.io.decode_raw(tf.strings.substr(tokens, 0, width - 2), tf.uint8, fixed_length=width - 2)
        spelled = tf.pad(tf.cast(spelled, tf.int32), [[0, 0], [0, 0], [1, 1]], constant_values=TOKEN_BEGIN)
        character = tf.range(width)
        # In a graph of TensorFlow 1, == compares the Python objects.
        spelled = tf.where(tf.equal(character, num_bytes + 1), TOKEN_END, spelled)
        spelled = tf.where(character > num_bytes + 1, PADDING, spelled)
        # The sentence's marks, before its first and after its last token.
        spelled = tf.pad(spelled, [[0, 0], [1, 1], [0, 0]], constant_values=PADDING)
        position = tf.range(self.padded_to + 2)[:, None]
        for mark, place in ((SENTENCE_BEGIN, 0), (SENTENCE_END, lengths[:, None, None] + 1)):
            spelled_mark = [TOKEN_BEGIN, mark, TOKEN_END] + [PADDING] * (width - 3)
            spelled = tf.where(tf.equal(position, place), spelled_mark, spelled)
        return spelled, lengths

    def _token_vectors(self, characters: Any) -> Any:
        """Convolutions, highways, projection: (B, T + 2, W) -> (B, T + 2, P)."""
        options = self._options["char_cnn"]
        embedded = tf.nn.embedding_lookup(self._variable("char_embed"), characters)
        activate = tf.nn.relu if options["activation"] == "relu" else tf.nn.tanh
        parts = []
        for i, _ in enumerate(options["filters"]):
            # Kernels stand in the file as (1, width, E, number).
            kernel, bias = self._variable(f"CNN/W_cnn_{i}"), self._variable(f"CNN/b_cnn_{i}")
            convolved = tf.nn.conv2d(embedded, kernel, strides=1, padding="VALID") + bias
            parts.append(activate(tf.reduce_max(convolved, axis=2)))
        vectors = tf.concat(parts, axis=2)
        shape = tf.shape(vectors)
        vectors = tf.reshape(vectors, [-1, vectors.shape[2]])
        for i in range(options["n_highway"]):
            folder = f"CNN_high_{i}"
            carry = vectors @ self._variable(f"{folder}/W_carry") + self._variable(f"{folder}/b_carry")
            transform = vectors @ self._variable(f"{folder}/W_transform") + self._variable(
                f"{folder}/b_transform"
            )
            gate = tf.sigmoid(carry)
            vectors = gate * tf.nn.relu(transform) + (1.0 - gate) * vectors
        vectors = vectors @ self._variable("CNN_proj/W_proj") + self._variable("CNN_proj/b_proj")
        return tf.reshape(vectors, [shape[0], shape[1], vectors.shape[1]])

    def _layers(self, tokens: Any, lengths: Any) -> list[Any]:
        """Runs both stacks of LSTMs: (B, T + 2, P) -> L layers of (B, T + 2, 2P)."""
        lengths = lengths + 2
        directions = []
        for direction in range(2):
            backward = direction == 1
            inputs = tf.reverse_sequence(tokens, lengths, seq_axis=1) if backward else tokens
            outputs = [inputs]
            for layer in range(self._options["lstm"]["n_layers"]):
                folder = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
                after = self._dynamic_rnn(inputs, lengths, folder)
                if layer and self._options["lstm"]["use_skip_connections"]:
                    after += inputs
                inputs = after
                outputs.append(after)
            if backward:
                outputs = [tf.reverse_sequence(output, lengths, seq_axis=1) for output in outputs]
            directions.append(outputs)
        return [tf.concat(pair, axis=-1) for pair in zip(*directions, strict=True)]

    def _dynamic_rnn(self, inputs: Any, lengths: Any, folder: str) -> Any:
        """Runs one LSTM over (B, T + 2, P), a step per token."""
        kernel, bias = self._variable(f"{folder}/W_0"), self._variable(f"{folder}/B")
        projection = self._variable(f"{folder}/W_P_0")
        dim, width = projection.shape
        options = self._options["lstm"]
        batch, num_steps = tf.shape(inputs)[0], tf.reduce_max(lengths)
        steps = tf.TensorArray(tf.float32, tf.shape(inputs)[1]).unstack(tf.transpose(inputs, [1, 0, 2]))

        def step(time: Any, output: Any, memory: Any, outputs: Any) -> tuple[Any, Any, Any, Any]:
            gates = tf.concat([steps.read(time), output], axis=1) @ kernel + bias
            i, j, f, o = tf.split(gates, 4, axis=1)
            new_memory = _clip(
                tf.sigmoid(f + 1.0) * memory + tf.sigmoid(i) * tf.tanh(j), options["cell_clip"]
            )
            new_output = _clip((tf.sigmoid(o) * tf.tanh(new_memory)) @ projection, options["proj_clip"])
            inside = (time < lengths)[:, None]
            outputs = outputs.write(time, tf.where(inside, new_output, 0.0))
            output, memory = tf.where(inside, new_output, output), tf.where(inside, new_memory, memory)
            return time + 1, output, memory, outputs

        zeros = tf.zeros([batch, width]), tf.zeros([batch, dim])
        start = (tf.constant(0), *zeros, tf.TensorArray(tf.float32, num_steps))
        *_, outputs = tf1.while_loop(lambda time, *_: time < num_steps, step, start)
        padding = tf.shape(inputs)[1] - num_steps
        stacked = tf.pad(outputs.stack(), [[0, padding], [0, 0], [0, 0]])
        return tf.reshape(tf.transpose(stacked, [1, 0, 2]), tf.shape(inputs))


def _clip(values: Any, bound: float | None) -> Any:
    return values if bound is None else tf.clip_by_value(values, -bound, bound)


def mean_of_tokens(layer: Any, lengths: Any) -> Any:
    """Averages (B, T + 2, 2P) over each sentence's tokens, the marks left out: (B, 2P)."""
    tokens = layer[:, 1:-1]
    inside = tf.sequence_mask(lengths, tf.shape(tokens)[1], dtype=tf.float32)[:, :, None]
    return tf.reduce_sum(tokens * inside, axis=1) / tf.cast(lengths, tf.float32)[:, None]
