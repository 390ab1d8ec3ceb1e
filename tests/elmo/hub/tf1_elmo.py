"""The network of google/elmo, small, in plain TensorFlow operations; for `tf1_modules.py`, in its process.

Nothing is imported from the project. Names and shapes are those of the published checkpoint, arithmetic is
that of `bilm/model.py` in allenai/bilm-tf. A `Variant` says what a module does in another way.
"""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

CHARACTER_DIM = 6
FILTERS = ((1, 4), (2, 8))
NUM_FILTERS = sum(number for _, number in FILTERS)
WORD_DIM = 8
LSTM_DIM = 10
MAX_BYTES = 48
OTHER_NAMES = {
    "char_embed": "character_embeddings/weights",
    "CNN_high_0/W_carry": "highway_0/carry/kernel",
    "CNN_high_0/b_carry": "highway_0/carry/bias",
    "CNN_high_0/W_transform": "highway_0/transform/kernel",
    "CNN_high_0/b_transform": "highway_0/transform/bias",
    "CNN_proj/W_proj": "projection/kernel",
    "CNN_proj/b_proj": "projection/bias",
}


@dataclass(frozen=True)
class Variant:
    """How a module is made.

    Args:
        num_rows: Of the character embedding.
        first_row: Row of character 0, which is the byte 0.
        marks: Whether <S> and </S> are read around each sentence.
        num_layers: LSTM layers per direction.
        num_outputs: Of these, how many the module gives.
        activation: After the convolutions.
        gates: Order of input, candidate (j), forget and output gate in the kernel.
        swapped: Whether two rare bytes have one another's characters.
        scope: In front of all names.
        other_names: Whether those names that were never published are others.
        twin: A variable of this name beside the one that is used.
    """

    num_rows: int = 262
    first_row: int = 0
    marks: bool = False
    num_layers: int = 2
    num_outputs: int = 2
    activation: str = "relu"
    gates: str = "ijfo"
    swapped: bool = False
    scope: str = "bilm/"
    other_names: bool = False
    twin: str = ""


# Kind -> the variant; the first five can be computed natively, the others cannot.
VARIANTS = {
    "elmo": Variant(),
    "elmo-marks": Variant(first_row=1, marks=True),
    "elmo-261": Variant(num_rows=261, num_layers=3, num_outputs=3),
    "elmo-261-marks": Variant(num_rows=261, marks=True, other_names=True, scope="module/bilm/"),
    "elmo-shifted": Variant(first_row=1, num_layers=1, num_outputs=1),
    "elmo-tanh": Variant(activation="tanh"),
    "elmo-gates": Variant(gates="ifjo"),
    "elmo-swapped": Variant(marks=True, swapped=True),
    "elmo-twin": Variant(twin="CNN_proj/b_proj"),
    "elmo-more-layers": Variant(num_layers=3),
}


def weight(name, shape, seed, scale=0.5):
    """A variable with values that the seed decides."""
    value = np.random.default_rng(seed).normal(0.0, scale, shape).astype(np.float32)
    return v1.get_variable(name, initializer=tf.constant(value))


class ElmoGraph:
    """Builds the network.

    Args:
        variant: What is done in another way.
        get: Makes a variable, or gives the one of that name: (name, shape, seed, scale) -> variable.
    """

    def __init__(self, variant, get=weight):
        self.variant = variant
        self._get = get

    def _weight(self, name, shape, seed):
        variant = self.variant
        if name == variant.twin:
            self._get(f"old/{variant.scope}{name}", shape, seed + 1000)
        called = OTHER_NAMES.get(name, name) if variant.other_names else name
        return self._get(variant.scope + called, shape, seed)

    def character_ids(self, tokens):
        """Tokens (B, T) -> ids (B, T, 50) from 0 to 260: begin of word, at most 48 bytes, end, padding."""
        shape = tf.shape(tokens)
        flat = tf.strings.substr(tf.reshape(tokens, [-1]), 0, MAX_BYTES)
        lengths = tf.strings.length(flat)
        characters = tf.cast(tf.io.decode_raw(flat, tf.uint8, fixed_length=MAX_BYTES), tf.int32)
        if self.variant.swapped:
            table = list(range(256))
            table[ord("~")], table[ord("^")] = ord("^"), ord("~")
            characters = tf.gather(tf.constant(table), characters)
        places = tf.range(MAX_BYTES + 1)[tf.newaxis]
        characters = tf.pad(characters, [[0, 0], [0, 1]])
        characters = tf.where(places < lengths[:, tf.newaxis], characters, tf.fill(tf.shape(characters), 260))
        characters = tf.where(
            tf.equal(places, lengths[:, tf.newaxis]), tf.fill(tf.shape(characters), 259), characters
        )
        characters = tf.pad(characters, [[0, 0], [1, 0]], constant_values=258)
        return tf.reshape(characters, [shape[0], shape[1], MAX_BYTES + 2])

    def word_embeddings(self, ids):
        """Character ids (B, T, 50) -> context-free token vectors (B, T, WORD_DIM)."""
        shape = tf.shape(ids)
        embedding = self._weight("char_embed", [self.variant.num_rows, CHARACTER_DIM], 1)
        rows = tf.reshape(ids, [-1, MAX_BYTES + 2]) + self.variant.first_row
        characters = tf.gather(embedding, rows)[:, tf.newaxis]
        activation = tf.nn.relu if self.variant.activation == "relu" else tf.tanh
        pooled = []
        for index, (width, number) in enumerate(FILTERS):
            kernel = self._weight(f"CNN/W_cnn_{index}", [1, width, CHARACTER_DIM, number], 10 + index)
            bias = self._weight(f"CNN/b_cnn_{index}", [number], 20 + index)
            convolved = tf.nn.conv2d(characters, kernel, strides=[1, 1, 1, 1], padding="VALID") + bias
            pooled.append(activation(tf.reduce_max(convolved, axis=[1, 2])))
        vectors, square = tf.concat(pooled, axis=-1), [NUM_FILTERS, NUM_FILTERS]
        carry = tf.sigmoid(
            tf.matmul(vectors, self._weight("CNN_high_0/W_carry", square, 30))
            + self._weight("CNN_high_0/b_carry", [NUM_FILTERS], 31)
        )
        transformed = tf.nn.relu(
            tf.matmul(vectors, self._weight("CNN_high_0/W_transform", square, 32))
            + self._weight("CNN_high_0/b_transform", [NUM_FILTERS], 33)
        )
        vectors = carry * transformed + (1.0 - carry) * vectors
        vectors = tf.matmul(vectors, self._weight("CNN_proj/W_proj", [NUM_FILTERS, WORD_DIM], 34))
        vectors += self._weight("CNN_proj/b_proj", [WORD_DIM], 35)
        return tf.reshape(vectors, [shape[0], shape[1], WORD_DIM])

    def lstm(self, inputs, lengths, folder, seed):
        """The projected LSTM with clips, over (B, T, WORD_DIM); its loop is that of TensorFlow 1."""
        variant = self.variant
        kernel = self._weight(f"{folder}/kernel", [2 * WORD_DIM, 4 * LSTM_DIM], seed)
        bias = self._weight(f"{folder}/bias", [4 * LSTM_DIM], seed + 1)
        projection = self._weight(f"{folder}/projection/kernel", [LSTM_DIM, WORD_DIM], seed + 2)
        kernel, bias, projection = (tf.convert_to_tensor(value) for value in (kernel, bias, projection))
        num_rows, num_steps = tf.shape(inputs)[0], tf.shape(inputs)[1]
        by_time = tf.transpose(inputs, [1, 0, 2])
        written = tf.TensorArray(tf.float32, size=num_steps)

        def step(time, cell, hidden, written):
            gates = tf.matmul(tf.concat([by_time[time], hidden], axis=1), kernel) + bias
            gate = dict(zip(variant.gates, tf.split(gates, 4, axis=1), strict=True))
            following = tf.sigmoid(gate["f"] + 1.0) * cell
            following += tf.sigmoid(gate["i"]) * tf.tanh(gate["j"])
            following = tf.clip_by_value(following, -3.0, 3.0)
            output = tf.matmul(tf.sigmoid(gate["o"]) * tf.tanh(following), projection)
            output = tf.clip_by_value(output, -3.0, 3.0)
            alive = tf.tile((time < lengths)[:, tf.newaxis], [1, WORD_DIM])
            kept = tf.where(alive, output, tf.zeros_like(output))
            return time + 1, following, output, written.write(time, kept)

        *_, written = v1.while_loop(
            lambda time, *_: time < num_steps,
            step,
            (0, tf.zeros([num_rows, LSTM_DIM]), tf.zeros([num_rows, WORD_DIM]), written),
        )
        return tf.transpose(written.stack(), [1, 0, 2])

    def ids_of_sentences(self, tokens, lengths):
        """Tokens (B, T) -> character ids (B, T, 50), or (B, T + 2, 50) with the sentences' marks."""
        ids = self.character_ids(tokens)
        if not self.variant.marks:
            return ids
        marks = np.full((2, MAX_BYTES + 2), 260, np.int32)
        marks[:, :3] = [[258, 256, 259], [258, 257, 259]]
        begin, end = (tf.tile(mark[None, None], [tf.shape(ids)[0], 1, 1]) for mark in marks)
        ids = tf.concat([begin, ids, end], axis=1)
        # The end stands right after the last token.
        is_end = tf.equal(tf.range(tf.shape(ids)[1])[tf.newaxis], lengths[:, tf.newaxis] + 1)
        is_end = tf.tile(is_end[:, :, tf.newaxis], [1, 1, MAX_BYTES + 2])
        return tf.where(is_end, tf.tile(marks[1][None, None], [tf.shape(ids)[0], tf.shape(ids)[1], 1]), ids)

    def outputs(self, tokens, lengths):
        """Tokens (B, T) and lengths (B,) -> the outputs of google/elmo."""
        variant = self.variant
        words = self.word_embeddings(self.ids_of_sentences(tokens, lengths))
        total = lengths + (2 if variant.marks else 0)
        forward, backward, layers = words, tf.reverse_sequence(words, total, seq_axis=1), []
        for cell in range(variant.num_layers):
            outputs = []
            for direction, inputs in enumerate((forward, backward)):
                folder = f"RNN_{direction}/RNN/MultiRNNCell/Cell{cell}/rnn/lstm_cell"
                output = self.lstm(inputs, total, folder, 100 + 10 * cell + 5 * direction)
                outputs.append(output if cell == 0 else output + inputs)
            forward, backward = outputs
            layers.append(tf.concat([forward, tf.reverse_sequence(backward, total, seq_axis=1)], axis=-1))
        if variant.marks:
            words, *layers = (layer[:, 1:-1] for layer in (words, *layers))
        layers = layers[: variant.num_outputs]
        weights = tf.nn.softmax(self._get("aggregation/weights", [1 + len(layers)], 50, 0.1))
        mixed = [tf.concat([words, words], axis=-1), *layers]
        elmo = self._get("aggregation/scaling", [], 51, 0.1) * sum(
            weights[number] * layer for number, layer in enumerate(mixed)
        )
        alive = tf.cast(tf.sequence_mask(lengths, tf.shape(tokens)[1]), tf.float32)[:, :, tf.newaxis]
        pooled = tf.reduce_sum(elmo * alive, axis=1) / tf.cast(lengths, tf.float32)[:, tf.newaxis]
        named = {f"lstm_outputs{number}": layer for number, layer in enumerate(layers, 1)}
        return {"word_emb": words, **named, "elmo": elmo, "default": pooled}


def tokens_signature(variant):
    """The signature ``tokens`` alone: name -> (inputs, outputs), built in the current graph."""
    tokens = v1.placeholder(tf.string, [None, None], name="tokens")
    lengths = v1.placeholder(tf.int32, [None], name="sequence_len")
    with v1.variable_scope("", reuse=v1.AUTO_REUSE):
        outputs = ElmoGraph(variant).outputs(tokens, lengths)
    return {"tokens": ({"tokens": tokens, "sequence_len": lengths}, outputs)}


def elmo_signatures(variant):
    """Both signatures of google/elmo."""
    strings = v1.placeholder(tf.string, [None], name="strings")
    split = v1.string_split(strings, " ")
    split_tokens = tf.sparse.to_dense(split, default_value="")
    counts = tf.reduce_sum(tf.cast(tf.not_equal(split_tokens, ""), tf.int32), axis=1)
    with v1.variable_scope("", reuse=v1.AUTO_REUSE):
        outputs = ElmoGraph(variant).outputs(split_tokens, counts)
    return {"default": ({"strings": strings}, outputs), **tokens_signature(variant)}


class ElmoModule(tf.Module):
    """The same network as a TF2 module; its variables stand in folders of objects, as their names say.

    Args:
        variant: What is done in another way.
    """

    def __init__(self, variant):
        super().__init__()
        made = {}

        def get(name, shape, seed, scale=0.5):
            if name not in made:
                value = np.random.default_rng(seed).normal(0.0, scale, shape).astype(np.float32)
                made[name] = tf.Variable(value, name="weight")
                self._put(name.split("/"), made[name])
            return made[name]

        self._graph = ElmoGraph(variant, get)
        with tf.init_scope():
            self._graph.outputs(tf.constant([["a"]]), tf.constant([1]))

    def _put(self, path, variable):
        place = self
        for part in path[:-1]:
            if not hasattr(place, part):
                setattr(place, part, tf.Module())
            place = getattr(place, part)
        setattr(place, path[-1], variable)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.string), tf.TensorSpec([None], tf.int32)],
        autograph=False,
    )
    def tokens(self, tokens, sequence_len):
        """The signature ``tokens``."""
        return self._graph.outputs(tokens, sequence_len)
