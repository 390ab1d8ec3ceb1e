"""Builds small modules in the published TensorFlow Hub formats; run as a script, in a process of its own.

    python tf1_modules.py KIND DIRECTORY

TensorFlow 1 behaviour (control flow with Enter and Exit, reference variables, sessions) is global to a
process, hence the script. The files are written as Hub's exporter of that time wrote them:
``saved_model.pb`` with one graph per tag set, ``variables/``, ``tfhub_module.pb``. Variables are random but
seeded, so that the same kind is the same module everywhere.

KIND is one of:
    elmo          google/elmo: signatures default and tokens, three layers, tag sets [] and ["train"]
    elmo-resource the same with resource variables
    elmo-default  only the signature default, with the outputs elmo and default
    text          a text-embedding module with a lookup table, as google/nnlm was
    text-tf2      the same as a TF2 SavedModel with a __call__ and serving_default
    callable-tf2  a TF2 SavedModel without signatures
    constant      a text-embedding module whose variables are all zero
    infinite      a text-embedding module with a variable that is not finite
    image         a module that takes images
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1

CHARACTER_DIM = 6
FILTERS = ((1, 4), (2, 8))
WORD_DIM = 8
LSTM_DIM = 10
MAX_BYTES = 48
VOCABULARY = ["the", "cat", "a", "dog", "ran", "sat", "bank", "river"]


def _weight(name, shape, seed, scale=0.5, trainable=True):
    value = np.random.default_rng(seed).normal(0.0, scale, shape).astype(np.float32)
    return v1.get_variable(name, initializer=tf.constant(value), trainable=trainable)


def _character_ids(tokens):
    """Tokens (B, T) -> ids (B, T, 50) from 0 to 260: begin of word, at most 48 bytes, end, padding."""
    shape = tf.shape(tokens)
    flat = tf.strings.substr(tf.reshape(tokens, [-1]), 0, MAX_BYTES)
    lengths = tf.strings.length(flat)
    characters = tf.cast(tf.io.decode_raw(flat, tf.uint8, fixed_length=MAX_BYTES), tf.int32)
    places = tf.range(MAX_BYTES + 1)[tf.newaxis]
    characters = tf.pad(characters, [[0, 0], [0, 1]])
    characters = tf.where(places < lengths[:, tf.newaxis], characters, tf.fill(tf.shape(characters), 260))
    characters = tf.where(
        tf.equal(places, lengths[:, tf.newaxis]), tf.fill(tf.shape(characters), 259), characters
    )
    characters = tf.pad(characters, [[0, 0], [1, 0]], constant_values=258)
    return tf.reshape(characters, [shape[0], shape[1], MAX_BYTES + 2])


def _word_embeddings(ids):
    """Character ids (B, T, 50) -> context-free token vectors (B, T, WORD_DIM), in scope bilm."""
    shape = tf.shape(ids)
    embedding = _weight("char_embed", [262, CHARACTER_DIM], 1)
    characters = tf.gather(embedding, tf.reshape(ids, [-1, MAX_BYTES + 2]))[:, tf.newaxis]
    pooled = []
    with v1.variable_scope("CNN"):
        for index, (width, number) in enumerate(FILTERS):
            kernel = _weight(f"W_cnn_{index}", [1, width, CHARACTER_DIM, number], 10 + index)
            bias = _weight(f"b_cnn_{index}", [number], 20 + index)
            convolved = tf.nn.conv2d(characters, kernel, strides=[1, 1, 1, 1], padding="VALID") + bias
            pooled.append(tf.nn.relu(tf.reduce_max(convolved, axis=[1, 2])))
    vectors = tf.concat(pooled, axis=-1)
    width = sum(number for _, number in FILTERS)
    with v1.variable_scope("CNN_high_0"):
        carry = tf.sigmoid(
            tf.matmul(vectors, _weight("W_carry", [width, width], 30)) + _weight("b_carry", [width], 31)
        )
        transformed = tf.nn.relu(
            tf.matmul(vectors, _weight("W_transform", [width, width], 32))
            + _weight("b_transform", [width], 33)
        )
    vectors = carry * transformed + (1.0 - carry) * vectors
    with v1.variable_scope("CNN_proj"):
        vectors = tf.matmul(vectors, _weight("W_proj", [width, WORD_DIM], 34)) + _weight(
            "b_proj", [WORD_DIM], 35
        )
    return tf.reshape(vectors, [shape[0], shape[1], WORD_DIM])


def _lstm(inputs, lengths, seed):
    """The projected LSTM with clips, over (B, T, WORD_DIM), by a TensorFlow 1 while loop."""
    with v1.variable_scope("rnn/lstm_cell"):
        kernel = _weight("kernel", [2 * WORD_DIM, 4 * LSTM_DIM], seed)
        bias = _weight("bias", [4 * LSTM_DIM], seed + 1)
        with v1.variable_scope("projection"):
            projection = _weight("kernel", [LSTM_DIM, WORD_DIM], seed + 2)
    num_rows, num_steps = tf.shape(inputs)[0], tf.shape(inputs)[1]
    by_time = tf.transpose(inputs, [1, 0, 2])
    written = tf.TensorArray(tf.float32, size=num_steps)

    def step(time, cell, hidden, written):
        gates = tf.matmul(tf.concat([by_time[time], hidden], axis=1), kernel) + bias
        enter, new, forget, leave = tf.split(gates, 4, axis=1)
        following = tf.sigmoid(forget + 1.0) * cell + tf.sigmoid(enter) * tf.tanh(new)
        following = tf.clip_by_value(following, -3.0, 3.0)
        output = tf.clip_by_value(tf.matmul(tf.sigmoid(leave) * tf.tanh(following), projection), -3.0, 3.0)
        alive = tf.tile((time < lengths)[:, tf.newaxis], [1, WORD_DIM])
        return (
            time + 1,
            following,
            output,
            written.write(time, tf.where(alive, output, tf.zeros_like(output))),
        )

    *_, written = v1.while_loop(
        lambda time, *_: time < num_steps,
        step,
        (0, tf.zeros([num_rows, LSTM_DIM]), tf.zeros([num_rows, WORD_DIM]), written),
    )
    return tf.transpose(written.stack(), [1, 0, 2])


def _bilm(tokens, lengths):
    """Tokens (B, T) and lengths (B,) -> the outputs of google/elmo."""
    with v1.variable_scope("bilm"):
        words = _word_embeddings(_character_ids(tokens))
        forward, backward, layers = words, tf.reverse_sequence(words, lengths, seq_axis=1), []
        for cell in range(2):
            outputs = []
            for direction, inputs in enumerate((forward, backward)):
                with v1.variable_scope(f"RNN_{direction}/RNN/MultiRNNCell/Cell{cell}"):
                    output = _lstm(inputs, lengths, 100 + 10 * cell + 5 * direction)
                outputs.append(output if cell == 0 else output + inputs)
            forward, backward = outputs
            layers.append(tf.concat([forward, tf.reverse_sequence(backward, lengths, seq_axis=1)], axis=-1))
    with v1.variable_scope("aggregation"):
        weights = tf.nn.softmax(_weight("weights", [3], 50, 0.1))
        scaling = v1.get_variable("scaling", initializer=tf.constant(1.0))
    doubled = tf.concat([words, words], axis=-1)
    elmo = scaling * (weights[0] * doubled + weights[1] * layers[0] + weights[2] * layers[1])
    alive = tf.cast(tf.sequence_mask(lengths, tf.shape(tokens)[1]), tf.float32)[:, :, tf.newaxis]
    pooled = tf.reduce_sum(elmo * alive, axis=1) / tf.cast(lengths, tf.float32)[:, tf.newaxis]
    return {
        "word_emb": words,
        "lstm_outputs1": layers[0],
        "lstm_outputs2": layers[1],
        "elmo": elmo,
        "default": pooled,
    }


def _elmo_signatures():
    """Signature name -> (inputs, outputs), built in the current graph."""
    strings = v1.placeholder(tf.string, [None], name="strings")
    split = tf.compat.v1.string_split(strings, " ")
    split_tokens = tf.sparse.to_dense(split, default_value="")
    counts = tf.reduce_sum(tf.cast(tf.not_equal(split_tokens, ""), tf.int32), axis=1)
    tokens = v1.placeholder(tf.string, [None, None], name="tokens")
    lengths = v1.placeholder(tf.int32, [None], name="sequence_len")
    with v1.variable_scope("", reuse=v1.AUTO_REUSE):
        by_default = _bilm(split_tokens, counts)
        by_tokens = _bilm(tokens, lengths)
    return {
        "default": ({"strings": strings}, by_default),
        "tokens": ({"tokens": tokens, "sequence_len": lengths}, by_tokens),
    }


def _elmo_default_signatures():
    inputs, outputs = _elmo_signatures()["default"]
    return {"default": (inputs, {key: outputs[key] for key in ("elmo", "default")})}


def _text_signatures(values=None):
    """Words found in a table, their rows of a matrix summed over the square root of their number."""
    sentences = v1.placeholder(tf.string, [None], name="sentences")
    table = v1.lookup.StaticHashTable(
        v1.lookup.KeyValueTensorInitializer(VOCABULARY, list(range(len(VOCABULARY))), tf.string, tf.int64),
        default_value=len(VOCABULARY),
    )
    words = v1.string_split(sentences, " ")
    ids = tf.SparseTensor(words.indices, table.lookup(words.values), words.dense_shape)
    shape = [len(VOCABULARY) + 1, WORD_DIM]
    if values is None:
        embeddings = _weight("embeddings", shape, 60)
    else:
        embeddings = v1.get_variable("embeddings", initializer=tf.fill(shape, values))
    ids, _ = tf.sparse.fill_empty_rows(ids, len(VOCABULARY))
    vectors = v1.nn.embedding_lookup_sparse(embeddings, ids, None, combiner="sqrtn")
    return {"default": ({"default": sentences}, {"default": vectors})}


def _image_signatures():
    images = v1.placeholder(tf.float32, [None, 4, 4, 3], name="images")
    weight = _weight("weight", [3, 5], 70)
    return {"default": ({"images": images}, {"default": tf.tensordot(images, weight, 1)})}


def _export_tf1(directory, signatures, resource=False):
    """Writes the signatures of one builder for both tag sets, as Hub's exporter did."""
    v1.disable_v2_behavior()
    v1.disable_control_flow_v2()
    if resource:
        v1.enable_resource_variables()
    builder = v1.saved_model.builder.SavedModelBuilder(str(directory))
    for number, tags in enumerate(([], ["train"])):
        with tf.Graph().as_default(), v1.Session() as session:
            built = {
                name: v1.saved_model.build_signature_def(
                    {key: v1.saved_model.build_tensor_info(tensor) for key, tensor in inputs.items()},
                    {key: v1.saved_model.build_tensor_info(tensor) for key, tensor in outputs.items()},
                    "",
                )
                for name, (inputs, outputs) in signatures().items()
            }
            session.run([v1.global_variables_initializer(), v1.tables_initializer()])
            if number == 0:
                builder.add_meta_graph_and_variables(
                    session, tags, signature_def_map=built, main_op=v1.tables_initializer()
                )
            else:
                builder.add_meta_graph(tags, signature_def_map=built, main_op=v1.tables_initializer())
    builder.save()
    # ModuleDef{format: FORMAT_V3, required_features: [...]}: the two bytes Hub wrote for format 3.
    (Path(directory) / "tfhub_module.pb").write_bytes(b"\x08\x03")


class _TextModule(tf.Module):
    """A TF2 text-embedding module: hashed words of a sentence, summed rows of a matrix."""

    def __init__(self):
        super().__init__()
        value = np.random.default_rng(80).normal(size=(len(VOCABULARY) + 1, WORD_DIM)).astype(np.float32)
        self.embeddings = tf.Variable(value, trainable=True, name="embeddings")
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(VOCABULARY, tf.range(len(VOCABULARY), dtype=tf.int64)),
            default_value=len(VOCABULARY),
        )

    @tf.function
    def __call__(self, sentences):
        ids = self.table.lookup(tf.strings.split(sentences))
        return tf.reduce_sum(tf.gather(self.embeddings, ids), axis=1)


def build(kind: str, directory: Path) -> None:
    """Writes the module of that kind into the directory, which must not exist."""
    if kind in ("elmo", "elmo-resource"):
        _export_tf1(directory, _elmo_signatures, resource=kind == "elmo-resource")
    elif kind == "elmo-default":
        _export_tf1(directory, _elmo_default_signatures)
    elif kind == "text":
        _export_tf1(directory, _text_signatures)
    elif kind == "constant":
        _export_tf1(directory, lambda: _text_signatures(0.0))
    elif kind == "infinite":
        _export_tf1(directory, lambda: _text_signatures(float("nan")))
    elif kind == "image":
        _export_tf1(directory, _image_signatures)
    elif kind in ("text-tf2", "callable-tf2"):
        module = _TextModule()
        function = module.__call__.get_concrete_function(tf.TensorSpec([None], tf.string))
        signatures = {"serving_default": function} if kind == "text-tf2" else {}
        tf.saved_model.save(module, str(directory), signatures=signatures)
    else:
        raise ValueError(f"no module of kind {kind!r}")


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        build(wanted, Path(sys.argv[1]) / wanted)
