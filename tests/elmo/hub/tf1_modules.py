"""Builds small modules in the published TensorFlow Hub formats; run as a script, in a process of its own.

    python tf1_modules.py DIRECTORY KIND...

TensorFlow 1 behaviour (control flow with Enter and Exit, reference variables, sessions) is global to a
process, hence the script. The files are written as Hub's exporter of that time wrote them:
``saved_model.pb`` with one graph per tag set, ``variables/``, ``tfhub_module.pb``. Variables are random but
seeded, so that the same kind is the same module everywhere.

KIND is one of:
    elmo          google/elmo: signatures default and tokens, three layers, tag sets [] and ["train"]
    elmo-...      its signature tokens with a difference, see VARIANTS in tf1_elmo.py
    elmo-resource the same with resource variables
    elmo-default  only the signature default, with the outputs elmo and default
    elmo-tf2      elmo-marks as a TF2 SavedModel
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
from tf1_elmo import VARIANTS, WORD_DIM, ElmoModule, elmo_signatures, tokens_signature, weight

v1 = tf.compat.v1

VOCABULARY = ["the", "cat", "a", "dog", "ran", "sat", "bank", "river"]


def _elmo_default_signatures():
    inputs, outputs = elmo_signatures(VARIANTS["elmo"])["default"]
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
        embeddings = weight("embeddings", shape, 60)
    else:
        embeddings = v1.get_variable("embeddings", initializer=tf.fill(shape, values))
    ids, _ = tf.sparse.fill_empty_rows(ids, len(VOCABULARY))
    vectors = v1.nn.embedding_lookup_sparse(embeddings, ids, None, combiner="sqrtn")
    return {"default": ({"default": sentences}, {"default": vectors})}


def _image_signatures():
    images = v1.placeholder(tf.float32, [None, 4, 4, 3], name="images")
    kernel = weight("weight", [3, 5], 70)
    return {"default": ({"images": images}, {"default": tf.tensordot(images, kernel, 1)})}


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
    if kind == "elmo":
        _export_tf1(directory, lambda: elmo_signatures(VARIANTS[kind]))
    elif kind in VARIANTS:
        _export_tf1(directory, lambda: tokens_signature(VARIANTS[kind]))
    elif kind == "elmo-resource":
        _export_tf1(directory, lambda: elmo_signatures(VARIANTS["elmo"]), resource=True)
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
    elif kind == "elmo-tf2":
        module = ElmoModule(VARIANTS["elmo-marks"])
        tf.saved_model.save(module, str(directory), signatures={"tokens": module.tokens})
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
