"""The two next-token heads: targets, losses, and that no token sees itself."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from bilm.tiny_bilm import OPTIONS, tiny_bilm, tiny_options

from elmo_cli.bilm.batches import Speller, language_model_batch
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.negatives import NegativeSampler
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.perplexity import measure_perplexity
from elmo_cli.bilm.vocabulary import Vocabulary

VOCABULARY = Vocabulary(("<S>", "</S>", "<UNK>", "the", "cat", "sat", "on", "mat", "."))
SENTENCES = [["The", "cat", "sat", "."], ["On", "the", "mat", "?"], ["cat", "cat", "cat", "cat"]]


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    model = LanguageModel(tiny_bilm(), len(VOCABULARY))
    random = np.random.default_rng(1)
    model.softmax_kernel.assign(random.normal(size=model.softmax_kernel.shape))
    model.softmax_bias.assign(random.normal(size=model.softmax_bias.shape))
    return model


def batch(sentences: list[list[str]] = SENTENCES) -> dict:
    return language_model_batch(sentences, VOCABULARY, Speller(50, 3))


def hidden(model: LanguageModel, sentences: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Top layers of both directions, (B, T + 2, P) each."""
    arrays = batch(sentences)
    lengths = np.full(len(sentences), len(sentences[0]), np.int32)
    directions = model.bilm.read(arrays["character_ids"], arrays["index"], lengths)
    return tuple(np.swapaxes(layers[-1], 0, 1) for layers in (directions.forward, directions.backward))


def pairs(model: LanguageModel, sentences: list[list[str]]) -> list[list[tuple[np.ndarray, int]]]:
    """Per direction all (hidden vector, word to predict from it), written as loops."""
    forward, backward = hidden(model, sentences)
    found = [[], []]
    for row, tokens in enumerate(sentences):
        words = VOCABULARY.ids(tokens)
        for at in range(len(words) - 1):
            found[0].append((forward[row, at], words[at + 1]))
            found[1].append((backward[row, at + 1], words[at]))
    return found


def test_the_loss_over_all_words_is_the_mean_negative_log_likelihood(model: LanguageModel) -> None:
    kernel, bias = model.softmax_kernel.numpy(), model.softmax_bias.numpy()
    expected = []
    for direction in pairs(model, SENTENCES):
        nats = []
        for vector, word in direction:
            logits = kernel @ vector + bias
            nats.append(np.log(np.exp(logits).sum()) - logits[word])
        assert len(nats) == 3 * 5
        expected.append(np.mean(nats))
    losses = model(batch())
    assert losses.dtype == tf.float32
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_the_sampled_loss_is_corrected_and_ignores_the_true_word(model: LanguageModel) -> None:
    kernel, bias = model.softmax_kernel.numpy(), model.softmax_bias.numpy()
    negatives = np.asarray([0, 3, 4, 7], np.int32)
    log_expected = NegativeSampler(len(VOCABULARY), 4, 1).draw(0)[1]
    expected = []
    for direction in pairs(model, SENTENCES):
        nats = []
        for vector, word in direction:
            logits = kernel @ vector + bias - log_expected
            others = np.exp(logits[[one for one in negatives if one != word]]).sum()
            nats.append(np.log(np.exp(logits[word]) + others) - logits[word])
        expected.append(np.mean(nats))
    arrays = batch() | {"negatives": negatives, "log_expected": log_expected}
    np.testing.assert_allclose(model(arrays), expected, rtol=1e-5)
    np.testing.assert_allclose(model(arrays, training=True), expected, rtol=1e-5)


def test_all_words_as_negatives_give_the_loss_over_all_words(model: LanguageModel) -> None:
    size = len(VOCABULARY)
    arrays = batch() | {
        "negatives": np.arange(size, dtype=np.int32),
        "log_expected": np.zeros(size, np.float32),
    }
    np.testing.assert_allclose(model(arrays), model(batch()), rtol=1e-5)


@pytest.mark.parametrize("at", range(4))
def test_a_token_never_sees_itself(model: LanguageModel, at: int) -> None:
    changed = [list(SENTENCES[0])]
    changed[0][at] = "zebra"
    position = at + 1
    for layer in (0, 1):
        before, after = hidden(model, SENTENCES[:1])[layer], hidden(model, changed)[layer]
        moved = np.abs(before - after).max(axis=-1)[0] > 0
        # What predicts the token stands before it going forward, behind it going backward.
        expected = np.arange(6) >= position if layer == 0 else np.arange(6) <= position
        np.testing.assert_array_equal(moved, expected)


def test_every_weight_learns(model: LanguageModel) -> None:
    arrays = batch() | {
        "negatives": np.asarray([0, 3, 4, 7], np.int32),
        "log_expected": np.zeros(len(VOCABULARY), np.float32),
    }
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(arrays, training=True))
    gradients = tape.gradient(loss, [weight.value for weight in model.trainable_variables])
    assert len(gradients) == len(model.bilm.weights) + 2
    assert all(np.abs(tf.convert_to_tensor(gradient)).max() > 0 for gradient in gradients)


def test_a_model_comes_back_from_its_config(model: LanguageModel) -> None:
    text = json.dumps(keras.saving.serialize_keras_object(model))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    again.build()
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(batch()), model(batch()))


def test_in_bfloat16_losses_are_float32_and_close(model: LanguageModel) -> None:
    mixed = LanguageModel(BiLM(tiny_options(), dtype="mixed_bfloat16"), len(VOCABULARY), dtype="float32")
    mixed.build()
    mixed.set_weights(model.get_weights())
    losses = mixed(batch())
    assert losses.dtype == tf.float32
    np.testing.assert_allclose(losses, model(batch()), rtol=0.03)


def test_perplexity_weighs_every_token_the_same(model: LanguageModel) -> None:
    sentences = [*SENTENCES, ["zebra"], ["the", "cat"]]
    nats, words = np.zeros(2), 0
    for sentence in sentences:
        nats += model(batch([sentence])).numpy() * (len(sentence) + 1)
        words += len(sentence) + 1
    result = measure_perplexity(model, sentences, VOCABULARY, Speller(50, 3), batch_tokens=10)
    np.testing.assert_allclose((result.forward, result.backward), np.exp(nats / words), rtol=1e-5)
    assert result.tokens == words == 20
    assert result.unknown_share == pytest.approx(2 / 20)
    assert str(result).startswith("held-out perplexity ")
    part = measure_perplexity(model, sentences, VOCABULARY, Speller(50, 3), batch_tokens=10, max_tokens=10)
    assert part.tokens == 5 + 5 + 3  # every second sentence


def test_matrices_are_told_from_tables_and_vectors(model: LanguageModel) -> None:
    grids = {variable.path: model.matrices(variable) for variable in model.trainable_variables}
    of_name = {}
    for path, grid in grids.items():
        of_name.setdefault(path.rsplit("/", 1)[-1].rstrip("0123456789"), set()).add(grid)
    assert of_name == {
        "softmax_kernel": {None},
        "softmax_bias": {None},
        "character_embedding": {None},
        "convolution_kernel_": {None},
        "convolution_bias_": {None},
        "transform_kernel": {(1, 1)},
        "transform_bias": {None},
        "carry_kernel": {(1, 1)},
        "carry_bias": {None},
        "kernel": {(2, 4)},
        "bias": {None},
        "projection_kernel": {(1, 1)},
        "projection_bias": {None},
    }


def test_dropout_is_at_work_in_training_only_and_goes_on_where_it_stood() -> None:
    bilm = tiny_bilm()
    model = LanguageModel(bilm, len(VOCABULARY), dropout=0.5)
    model.build()
    plain = LanguageModel(bilm, len(VOCABULARY))
    plain.build()
    plain.softmax_kernel.assign(model.softmax_kernel)
    np.testing.assert_array_equal(model(batch()), plain(batch()))
    before = [variable.numpy() for variable in model.variables]
    first, second = model(batch(), training=True).numpy(), model(batch(), training=True).numpy()
    assert len({tuple(losses) for losses in (first, second, plain(batch()).numpy())}) == 3
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    np.testing.assert_array_equal(model(batch(), training=True), first)


def test_a_network_that_reads_no_sentence_marks_has_none_to_predict() -> None:
    with pytest.raises(ValueError, match="this network reads none"):
        LanguageModel(BiLM(replace(OPTIONS, sentence_marks=False)), 9)
