import shutil
import sys
import tarfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_battery import check_layer

from elmo_cli.elmo.embedder import Embedder, load_embedder
from elmo_cli.elmo.hub.embedder import HubEmbedder
from elmo_cli.elmo.source import resolve
from elmo_cli.errors import ConfigError, SourceError

SENTENCES = ["the cat sat on the river bank", "", "a dog", "Ünïcödé 中文 " + "long" * 20, "x"]
LENGTHS = [7, 1, 2, 3, 1]


def hub_embedder(module: Path | str) -> HubEmbedder:
    """The module through its own graph, also where our network could compute it."""
    return HubEmbedder.from_source(resolve(str(module)))


@pytest.fixture(scope="module")
def elmo(tf1_modules: Path) -> Embedder:
    return hub_embedder(tf1_modules / "elmo")


def embed(embedder: Embedder, sentences: list[str]) -> tuple[np.ndarray, np.ndarray]:
    layers, mask = embedder(tf.constant(sentences))
    return layers.numpy(), mask.numpy()


def test_the_published_format_gives_three_layers_of_the_module_itself(elmo, tf1_modules):
    layers, mask = embed(elmo, SENTENCES)
    assert layers.shape == (5, 3, 7, 16)
    assert layers.dtype == np.float32
    assert mask.sum(axis=1).tolist() == LENGTHS
    assert (elmo.num_layers, elmo.dim, elmo.token_level) == (3, 16, True)

    # The same by TensorFlow's own v1 loader and a session.
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, [], str(tf1_modules / "elmo"))
        signature = graph.signature_def["tokens"]
        tokens = [(sentence.split(" ") + [""] * 7)[:7] for sentence in SENTENCES]
        expected = session.run(
            {name: info.name for name, info in signature.outputs.items()},
            {signature.inputs["tokens"].name: tokens, signature.inputs["sequence_len"].name: LENGTHS},
        )
    words = np.concatenate([expected["word_emb"]] * 2, axis=-1)
    wanted = np.stack([words, expected["lstm_outputs1"], expected["lstm_outputs2"]], axis=1)
    np.testing.assert_allclose(
        np.swapaxes(layers, 1, 2)[mask], np.swapaxes(wanted, 1, 2)[mask], rtol=0, atol=1e-6
    )


def test_variables_are_counted_and_frozen(elmo, tf1_modules):
    reader = tf.train.load_checkpoint(str(tf1_modules / "elmo" / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map()
    assert "bilm/RNN_1/RNN/MultiRNNCell/Cell1/rnn/lstm_cell/projection/kernel" in shapes
    assert elmo.num_variables == len(shapes) == 25
    assert elmo.num_parameters == sum(int(np.prod(shape)) for shape in shapes.values())
    assert elmo.trainable_variables == []


def test_reference_and_resource_variables_give_the_same(elmo, tf1_modules):
    other = hub_embedder(tf1_modules / "elmo-resource")
    np.testing.assert_allclose(embed(elmo, SENTENCES)[0], embed(other, SENTENCES)[0], rtol=0, atol=1e-6)
    assert (other.num_variables, other.num_parameters) == (elmo.num_variables, elmo.num_parameters)


@pytest.mark.parametrize("kind", ["elmo", "elmo-default", "text", "text-tf2", "callable-tf2"])
def test_vectors_do_not_depend_on_batch_mates(kind, tf1_modules, tf2_modules):
    parent = tf2_modules if kind.endswith("tf2") else tf1_modules
    embedder = hub_embedder(parent / kind)
    together, mask = embed(embedder, SENTENCES)
    turned, _ = embed(embedder, SENTENCES[::-1])
    for index, sentence in enumerate(SENTENCES):
        alone, alone_mask = embed(embedder, [sentence])
        length = int(mask[index].sum())
        assert alone.shape[2] == alone_mask.sum() == length
        for batch, place in ((together, index), (turned, len(SENTENCES) - 1 - index)):
            np.testing.assert_allclose(batch[place, :, :length], alone[0], rtol=0, atol=1e-6)


def test_context_reaches_the_upper_layers_alone(elmo):
    layers, _ = embed(elmo, ["the river bank", "the cat bank"])
    np.testing.assert_allclose(layers[0, 0, 2], layers[1, 0, 2], atol=1e-6)
    assert np.abs(layers[0, 1:, 2] - layers[1, 1:, 2]).max(axis=-1).min() > 0.1


def test_a_module_with_the_default_signature_alone_gives_its_mix(elmo, tf1_modules):
    embedder = load_embedder(resolve(str(tf1_modules / "elmo-default")))
    layers, mask = embed(embedder, SENTENCES)
    assert (embedder.num_layers, embedder.dim, embedder.token_level) == (1, 16, True)
    assert mask.sum(axis=1).tolist() == LENGTHS
    reader = tf.train.load_checkpoint(str(tf1_modules / "elmo-default" / "variables" / "variables"))
    weights = tf.nn.softmax(reader.get_tensor("aggregation/weights")).numpy()
    whole, _ = embed(elmo, ["a dog"])
    mixed = reader.get_tensor("aggregation/scaling") * np.tensordot(weights, whole[0], 1)
    np.testing.assert_allclose(layers[2, 0, :2], mixed, atol=1e-5)


@pytest.mark.parametrize("kind", ["text", "text-tf2", "callable-tf2"])
def test_text_embedding_modules_give_one_vector_for_each_sentence(kind, tf1_modules, tf2_modules):
    embedder = load_embedder(resolve(str((tf2_modules if "tf2" in kind else tf1_modules) / kind)))
    layers, mask = embed(embedder, ["the cat", "a dog ran", ""])
    assert layers.shape == (3, 1, 1, 8)
    assert mask.tolist() == [[True]] * 3
    assert (embedder.num_layers, embedder.dim, embedder.token_level) == (1, 8, False)
    assert (embedder.num_variables, embedder.num_parameters) == (1, 72)
    assert np.abs(layers[0] - layers[1]).max() > 0.1


def test_a_table_is_initialised(tf1_modules):
    embedder = load_embedder(resolve(str(tf1_modules / "text")))
    reader = tf.train.load_checkpoint(str(tf1_modules / "text" / "variables" / "variables"))
    rows = reader.get_tensor("embeddings")
    layers, _ = embed(embedder, ["the cat"])
    np.testing.assert_allclose(layers[0, 0, 0], (rows[0] + rows[1]) / np.sqrt(2), atol=1e-6)


@pytest.mark.parametrize("kind", ["elmo", "elmo-resource"])
@pytest.mark.parametrize("traced", [False, True])
def test_a_tape_around_the_module_meets_no_gradient(kind, traced, tf1_modules):
    embedder = hub_embedder(tf1_modules / kind)
    scale = tf.Variable(2.0)

    def loss() -> tf.Tensor:
        return tf.reduce_sum(embedder(tf.constant(["the cat", "a"]))[0]) * scale

    with tf.GradientTape() as tape:
        value = (tf.function(loss) if traced else loss)()
    np.testing.assert_allclose(tape.gradient(value, scale), value / 2.0, rtol=1e-5)


def test_it_works_in_a_keras_model_that_predicts_and_trains(elmo):
    inputs = keras.Input((), dtype="string")
    layers, mask = elmo(inputs)
    assert layers.shape == (None, 3, None, 16)
    weights = keras.ops.cast(mask, "float32")[:, :, None]
    pooled = keras.ops.sum(layers[:, 2] * weights, axis=1) / keras.ops.sum(weights, axis=1)
    model = keras.Model(inputs, keras.layers.Dense(2)(pooled))
    sentences = tf.constant(SENTENCES)
    assert model.predict(sentences, verbose=0).shape == (5, 2)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = model.trainable_variables[0].numpy()
    model.fit(sentences, tf.constant([0, 1, 0, 1, 0]), epochs=1, verbose=0)
    assert len(model.trainable_variables) == 2
    assert np.abs(model.trainable_variables[0].numpy() - before).max() > 0


def test_the_battery(tf1_modules):
    check_layer(
        HubEmbedder,
        {"source": resolve(str(tf1_modules / "elmo"))},
        np.array(SENTENCES, dtype=object),
        expected_output_shape=[(5, 3, 7, 16), (5, 7)],
        expected_num_trainable=0,
    )


def test_a_module_served_as_an_archive(elmo, server, tf1_modules, tmp_path):
    with tarfile.open(tmp_path / "3.tar.gz", "w:gz") as file:
        file.add(tf1_modules / "elmo", arcname=".")
    server.pages["/google/elmo/3"] = (tmp_path / "3.tar.gz").read_bytes()
    handle = f"{server.url}/google/elmo/3"
    cold = embed(hub_embedder(handle), SENTENCES)[0]
    server.stop()
    cached = embed(hub_embedder(handle), SENTENCES)[0]
    for layers in (cold, cached):
        np.testing.assert_allclose(layers, embed(elmo, SENTENCES)[0], rtol=0, atol=1e-6)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("constant", "the same for every text"),
        ("infinite", "variable embeddings holds numbers that are not finite"),
        ("image", r"default \(images: float32 \[\?, 4, 4, 3\]\) -> default: \[\?, 4, 4, 5\]"),
    ],
)
def test_modules_that_cannot_be_used_are_refused(kind, words, tf1_modules):
    with pytest.raises(SourceError, match=words):
        load_embedder(resolve(str(tf1_modules / kind)))


def test_a_wrong_signature_lists_those_supported(tf1_modules):
    with pytest.raises(SourceError, match=r"tokens \(tokens: string \[batch, max_len\]"):
        load_embedder(resolve(str(tf1_modules / "image")))


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/variables.data-00000-of-00001"])
def test_damaged_files_are_said(file, tf1_modules, tmp_path):
    copy = shutil.copytree(tf1_modules / "elmo", tmp_path / "damaged")
    (copy / file).write_bytes((copy / file).read_bytes()[:1000])
    with pytest.raises(SourceError, match=r"damaged.*TensorFlow says"):
        load_embedder(resolve(str(copy)))


def test_a_module_that_lost_its_variables_is_refused(tf1_modules, tmp_path):
    copy = shutil.copytree(tf1_modules / "elmo", tmp_path / "lost")
    shutil.rmtree(copy / "variables")
    with pytest.raises(SourceError, match="variables"):
        load_embedder(resolve(str(copy)))


def test_without_tensorflow_hub_the_command_to_install_it_is_named(tf1_modules, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_hub", None)  # as when its import fails
    with pytest.raises(SourceError, match="pip install tensorflow-hub"):
        load_embedder(resolve(str(tf1_modules / "text")))


def test_an_embedder_without_a_call_is_a_slip(tf1_modules):
    embedder = Embedder(source=resolve(str(tf1_modules / "text")))
    with pytest.raises(NotImplementedError):
        embedder.call(tf.constant(["x"]))


def test_a_module_computes_in_the_precision_it_was_made_in(tf1_modules: Path) -> None:
    source = resolve(str(tf1_modules / "text"))
    assert load_embedder(source, "auto").precision == "float32"
    with pytest.raises(ConfigError, match=r"--precision bfloat16: the module .* Use --precision auto"):
        load_embedder(source, "bfloat16")
