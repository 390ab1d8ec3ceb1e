"""The frozen biLM gives what the network gives, whatever is read with what."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import tensorflow as tf
from bilm.tiny_bilm import OPTIONS, layers_of, tiny_bilm, tiny_options

from elmo_cli.bilm.frozen import WORDS_AT_ONCE, FrozenBiLM
from elmo_cli.bilm.lanes import MAX_LANES
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.weights import read_weights

SENTENCES = ["It 's a naïve test .", "No", "", "🙂 " + "x" * 60, "a  b", "the the cat sat on the mat , again"]


def read(frozen: FrozenBiLM, sentences: list[str], *, compiled: bool = False) -> np.ndarray:
    """The layers of space-joined sentences, float32 (B, L, T, 2P)."""
    split = [sentence.split(" ") for sentence in sentences]
    words = sorted({word for tokens in split for word in tokens})
    numbers = [words.index(word) for tokens in split for word in tokens]
    lengths = np.array([len(tokens) for tokens in split], np.int32)
    vectors = frozen.token_vectors(words)
    return frozen.layers(vectors, np.array(numbers, np.int32), lengths, compiled=compiled).numpy()


def many_sentences(number: int) -> list[str]:
    random = np.random.default_rng(0)
    return [
        " ".join(random.choice(["a", "bc", "def", "ghij"], size)) for size in random.integers(1, 9, number)
    ]


@pytest.mark.parametrize(
    "options",
    [
        OPTIONS,
        tiny_options(cnn={"activation": "tanh", "num_highway": 0}, lstm={"use_skip_connections": False}),
        tiny_options(lstm={"num_layers": 1, "cell_clip": 0.3, "projection_clip": None}),
        tiny_options(cnn={"max_characters_per_token": 9}, lstm={"num_layers": 3, "projection_clip": 0.2}),
        replace(OPTIONS, sentence_marks=False),
    ],
    ids=["as published", "plain", "one layer", "three layers, narrow", "no marks"],
)
def test_it_computes_what_the_network_computes(options):
    bilm = tiny_bilm(options)
    expected = layers_of(bilm, SENTENCES)
    found = read(FrozenBiLM(bilm), SENTENCES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("compiled", [False, True])
def test_more_sentences_than_lanes_follow_one_another(compiled):
    sentences = many_sentences(MAX_LANES + 50)
    bilm = tiny_bilm()
    found = read(FrozenBiLM(bilm), sentences, compiled=compiled)
    np.testing.assert_allclose(found, layers_of(bilm, sentences), rtol=0, atol=1e-5)


def test_a_vector_depends_on_its_sentence_alone():
    frozen = FrozenBiLM(tiny_bilm())
    sentences = many_sentences(40)
    together = read(frozen, sentences)
    backwards = read(frozen, sentences[::-1])[::-1]
    for sentence, one, other in zip(sentences, together, backwards, strict=True):
        length = len(sentence.split())
        alone = read(frozen, [sentence])[0]
        np.testing.assert_allclose(one[:, :length], alone, rtol=0, atol=1e-6)
        np.testing.assert_allclose(other[:, :length], alone, rtol=0, atol=1e-6)


def test_half_precision_is_near_to_full():
    bilm = tiny_bilm()
    half = BiLM(OPTIONS, dtype="bfloat16")
    half.build()
    for rounded, exact in zip(half.weights, bilm.weights, strict=True):
        rounded.assign(tf.cast(exact.value, rounded.dtype))
    sentences = many_sentences(300)
    expected = layers_of(bilm, sentences)
    for found in (read(FrozenBiLM(half), sentences), layers_of(half, sentences)):
        error = np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2))
        assert 1e-4 < error < 0.02


def test_words_in_several_batches_keep_their_places():
    bilm = tiny_bilm()
    words = [f"{'x' * (number % 40)}{number}" for number in range(WORDS_AT_ONCE + 9)]
    vectors = FrozenBiLM(bilm).token_vectors(words).numpy()
    expected = layers_of(bilm, words)[:, 0, 0, : OPTIONS.lstm.projection_dim]
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_no_word_has_no_vector():
    assert FrozenBiLM(tiny_bilm()).token_vectors([]).shape == (0, OPTIONS.lstm.projection_dim)


def test_one_trace_serves_every_batch():
    frozen = FrozenBiLM(tiny_bilm())
    for number in (1, 5, MAX_LANES + 1):
        read(frozen, many_sentences(number))
    assert frozen.num_traces == 3


def test_published_embeddings_are_reproduced(shared):
    folder = shared / "elmo-fixture"
    if not folder.is_dir():
        pytest.skip("the published fixture is not here")
    bilm = BiLM(BiLMOptions.from_json(folder / "options.json"))
    read_weights(bilm, folder / "lm_weights.hdf5")
    # The reference carries its state from sentence to sentence: the first of each text begins at zero.
    texts = json.loads((folder / "sentences.json").read_text())
    found = read(FrozenBiLM(bilm), [text[0] for text in texts])
    for row, text in enumerate(texts):
        with h5py.File(folder / f"lm_embeddings_{row}.hdf5") as file:
            both = found[row, -1, : len(text[0].split(" "))]
            expected = np.concatenate(file["0"][...], axis=-1)
            np.testing.assert_allclose(both, expected, rtol=0, atol=1.5e-6)  # see test_network
