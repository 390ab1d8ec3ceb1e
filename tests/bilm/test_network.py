"""The biLM against an oracle, against published embeddings, and against itself in other company."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from bilm.oracle import Oracle
from bilm.tiny_bilm import OPTIONS, layers_of, oracle_of, tiny_bilm, tiny_options

from elmo_cli.bilm.characters import sentence_characters, sentence_marks, token_characters
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.weights import read_weights

SENTENCES = ["It 's a naïve test .", "No", "🙂 " + "x" * 60, "the the cat sat on the mat , again"]

# Six decimals as NumPy's assert_array_almost_equal takes them. The published values are 1.14e-6 from what
# float64 gives, and the last bits of ours depend on the processor's kernels.
SIX_DECIMALS = 1.5e-6


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        tiny_options(cnn={"activation": "tanh", "num_highway": 0}, lstm={"use_skip_connections": False}),
        tiny_options(cnn={"num_highway": 2}, lstm={"cell_clip": None, "projection_clip": None}),
        tiny_options(lstm={"num_layers": 1, "cell_clip": 0.3, "projection_clip": None}),
        tiny_options(cnn={"max_characters_per_token": 9}, lstm={"num_layers": 3, "projection_clip": 0.2}),
        replace(OPTIONS, sentence_marks=False),
    ],
    ids=["as published", "tanh, plain", "no clips", "one layer", "three layers, narrow", "no marks"],
)
def test_the_network_is_that_of_the_paper(options: BiLMOptions, tmp_path: Path) -> None:
    bilm = tiny_bilm(options)
    oracle = oracle_of(bilm, tmp_path)

    layers = layers_of(bilm, SENTENCES)

    assert layers.dtype == np.float32
    assert layers.shape == (4, options.num_layers, 9, options.dim)
    for sentence, actual in zip(SENTENCES, layers, strict=True):
        expected = oracle.layers(sentence.split(" "))
        num_tokens = expected.shape[1]
        np.testing.assert_allclose(
            actual[:, :num_tokens], expected, rtol=0, atol=1e-6 * np.abs(expected).max()
        )
        assert not actual[:, num_tokens:].any()


def test_a_clip_that_takes_hold_changes_the_result() -> None:
    plain = layers_of(tiny_bilm(tiny_options(lstm={"cell_clip": None, "projection_clip": None})), SENTENCES)
    for clip in ("cell_clip", "projection_clip"):
        clips = {"cell_clip": None, "projection_clip": None, clip: 0.3}
        assert np.abs(layers_of(tiny_bilm(tiny_options(lstm=clips)), SENTENCES) - plain).max() > 0.01


def carried(bilm: BiLM, texts: list[list[str]]) -> list[list[np.ndarray]]:
    """Top layer per batch and row, (2, T, P), with the state carried from batch to batch."""
    cnn = bilm.options.char_cnn
    pairs = zip(bilm.forward_cells, bilm.backward_cells, strict=True)
    states = [tuple(cell.initial_state(len(texts)) for cell in pair) for pair in pairs]
    found = []
    for sentences in zip(*texts, strict=True):
        characters = sentence_characters(
            tf.constant(sentences), cnn.max_characters_per_token, cnn.max_filter_width
        )
        directions = bilm.read(*characters, initial_states=states)
        states = directions.final_states
        top = np.stack([directions.forward[-1], directions.backward[-1]])
        found.append([top[:, 1 : length + 1, row] for row, length in enumerate(characters.lengths.numpy())])
    return found


def test_a_carried_state_is_that_of_the_reference_code(tmp_path: Path) -> None:
    bilm = tiny_bilm()
    oracle = oracle_of(bilm, tmp_path)
    texts = [["a b c", "d", "e f"], ["g", "h i j k", "l m"]]
    found = carried(bilm, texts)
    for row, text in enumerate(texts):
        states = oracle.zero_states()
        for at, sentence in enumerate(text):
            expected, states = oracle.read(sentence.split(" "), states)
            np.testing.assert_allclose(found[at][row], expected[:, -1, 1:-1], rtol=0, atol=2e-6)


@pytest.fixture(scope="module")
def published(shared: Path) -> Path:
    folder = shared / "elmo-fixture"
    if not folder.is_dir():
        pytest.skip("the published fixture is not here")
    return folder


@pytest.fixture(scope="module")
def published_bilm(published: Path) -> BiLM:
    bilm = BiLM(BiLMOptions.from_json(published / "options.json"))
    read_weights(bilm, published / "lm_weights.hdf5")
    return bilm


def test_published_embeddings_are_reproduced(published: Path, published_bilm: BiLM) -> None:
    texts = json.loads((published / "sentences.json").read_text())
    found = carried(published_bilm, texts)
    assert len(found) * len(found[0]) == 30
    for row in range(3):
        with h5py.File(published / f"lm_embeddings_{row}.hdf5") as file:
            for at, batch in enumerate(found):
                np.testing.assert_allclose(batch[row], file[str(at)][...], rtol=0, atol=SIX_DECIMALS)


def test_published_token_vectors_are_reproduced(published: Path, published_bilm: BiLM) -> None:
    tokens = (published / "vocab_test.txt").read_text().splitlines()
    characters = token_characters(tf.constant(tokens), 50).numpy()
    for mark, name in zip(sentence_marks(50), ("<S>", "</S>"), strict=True):
        characters[tokens.index(name)] = mark
    with h5py.File(published / "elmo_token_embeddings.hdf5") as file:
        expected = file["embedding"][...]
    vectors = published_bilm.character_cnn(characters)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)


def test_a_vector_depends_on_its_sentence_alone() -> None:
    # A width that splits into no round number of registers, so that other kernels are chosen for other sizes.
    bilm = tiny_bilm(tiny_options(lstm={"dim": 37, "projection_dim": 11}), scale=0.3)
    sentences = [*SENTENCES, "", "a  b", "one two three four five six seven eight nine ten eleven twelve"]
    alone = [layers_of(bilm, [sentence])[0] for sentence in sentences]
    together = layers_of(bilm, sentences)
    backwards = layers_of(bilm, sentences[::-1])[::-1]
    many = layers_of(bilm, (sentences * 9)[:40])
    for i, expected in enumerate(alone):
        length = expected.shape[1]
        for actual in (together[i], backwards[i], many[i], many[i + len(sentences)]):
            np.testing.assert_allclose(actual[:, :length], expected, rtol=0, atol=1e-6)
            assert not actual[:, length:].any()
    assert [len(one[0]) for one in alone] == [6, 1, 2, 9, 1, 3, 12]


def test_training_changes_no_result() -> None:
    bilm = tiny_bilm()
    characters = sentence_characters(tf.constant(SENTENCES), 50, 3)
    np.testing.assert_allclose(
        bilm(*characters, training=True), bilm(*characters, training=False), rtol=1e-6, atol=1e-6
    )


def test_every_weight_is_reached_by_the_gradient() -> None:
    bilm = tiny_bilm()
    characters = sentence_characters(tf.constant(SENTENCES), 50, 3)
    found = {}
    for training in (False, True):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(bilm(*characters, training=training) ** 2)
        gradients = tape.gradient(loss, [weight.value for weight in bilm.trainable_weights])
        found[training] = [tf.convert_to_tensor(gradient).numpy() for gradient in gradients]
    assert len(found[True]) == 1 + 2 * 3 + 4 + 2 + 4 * 3
    for actual, expected in zip(found[True], found[False], strict=True):
        assert expected.any()
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_network_comes_back_from_its_config() -> None:
    bilm = tiny_bilm()
    again = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(keras.saving.serialize_keras_object(bilm)))
    )
    assert again.options == bilm.options
    again.build()
    again.set_weights(bilm.get_weights())
    np.testing.assert_array_equal(layers_of(again, SENTENCES), layers_of(bilm, SENTENCES))


def test_in_bfloat16_weights_stay_float32_and_layers_come_back_in_float32() -> None:
    mixed = BiLM(OPTIONS, dtype="mixed_bfloat16")
    mixed.build()
    mixed.set_weights(tiny_bilm().get_weights())
    assert {weight.dtype for weight in mixed.weights} == {"float32"}
    exact, rounded = layers_of(tiny_bilm(), SENTENCES), layers_of(mixed, SENTENCES)
    assert rounded.dtype == np.float32
    assert 0 < np.linalg.norm(rounded - exact) < 0.02 * np.linalg.norm(exact)


def test_the_oracle_reproduces_the_published_embeddings(published: Path) -> None:
    oracle = Oracle(published / "options.json", published / "lm_weights.hdf5")
    text = json.loads((published / "sentences.json").read_text())[0][:2]
    states = oracle.zero_states()
    with h5py.File(published / "lm_embeddings_0.hdf5") as file:
        for at, sentence in enumerate(text):
            layers, states = oracle.read(sentence.split(" "), states)
            np.testing.assert_allclose(layers[:, -1, 1:-1], file[str(at)][...], rtol=0, atol=1e-6)
