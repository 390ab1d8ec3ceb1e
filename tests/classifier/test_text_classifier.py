"""The whole model: two ways to the same logits."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from classifier.tiny_embedder import TinyEmbedder, WholeTextEmbedder, sentences

from elmo_cli.classifier.encoding import Encoded
from elmo_cli.classifier.text_classifier import TextClassifier
from elmo_cli.config import TrainingConfig
from elmo_cli.training.arrays import LabelledArrays
from elmo_cli.training.loop import fit

TEXTS = ["a b c", "d", "", "the quick brown fox", "d"]


@pytest.fixture(params=[("mean", "max"), ("attention",), ("max", "attention", "mean")], ids=",".join)
def classifier(request: pytest.FixtureRequest) -> TextClassifier:
    """As if trained, but for standardisation: every weight has a value of its own."""
    classifier = TextClassifier(TinyEmbedder(), 3, poolings=request.param, hidden=(4,))
    random = np.random.default_rng(0)
    for weight in classifier.classifier.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return classifier


def test_both_ways_give_the_same_logits(classifier):
    encoded = classifier.encode(sentences(*TEXTS))
    classifier.classifier.adapt(encoded.vectors)
    logits = classifier(tf.constant(TEXTS))
    assert logits.shape == (5, 3)
    assert logits.dtype == "float32"
    np.testing.assert_allclose(classifier.classify(encoded.vectors[encoded.rows]), logits, atol=1e-6)


def test_logits_do_not_depend_on_batch_mates(classifier):
    alone = np.concatenate([classifier(tf.constant([text])) for text in TEXTS])
    np.testing.assert_allclose(alone, classifier(tf.constant(TEXTS)), atol=1e-6)


def test_it_works_in_a_graph(classifier):
    graph = tf.function(classifier)
    np.testing.assert_allclose(graph(tf.constant(TEXTS)), classifier(tf.constant(TEXTS)), atol=1e-6)


def test_probabilities_are_those_of_the_logits(classifier):
    encoded = classifier.encode(sentences(*TEXTS))
    probabilities = classifier.probabilities(encoded)
    exponentials = np.exp(np.asarray(classifier.classify(encoded.vectors[encoded.rows])))
    np.testing.assert_allclose(
        probabilities, exponentials / exponentials.sum(axis=1, keepdims=True), atol=1e-6
    )
    assert classifier.probabilities(classifier.encode(sentences())).shape == (0, 3)


def test_token_vectors_are_classified_in_parts(monkeypatch):
    classifier = TextClassifier(TinyEmbedder(), 3, poolings=("attention",))
    encoded, sizes = classifier.encode(sentences(*TEXTS)), []
    together, classify = classifier.probabilities(encoded), classifier.classify
    monkeypatch.setattr("elmo_cli.classifier.text_classifier.CLASSIFY_BYTES", 3 * 4 * 2 * 4 * 3)
    monkeypatch.setattr(classifier, "classify", lambda chunk: (sizes.append(len(chunk)), classify(chunk))[1])
    np.testing.assert_allclose(classifier.probabilities(encoded), together, atol=1e-6)
    assert sizes == [3, 1]


def test_many_rows_are_classified_in_parts():
    classifier = TextClassifier(TinyEmbedder(), 3)
    vectors = np.random.default_rng(0).normal(size=(2500, 2, 6)).astype(np.float32)
    rows = np.arange(2500)
    together, few = (classifier.probabilities(Encoded(vectors, chosen)) for chosen in (rows, rows[-3:]))
    np.testing.assert_allclose(together[-3:], few, atol=1e-6)
    alone = classifier.probabilities(Encoded(vectors[-3:], np.arange(3)))
    np.testing.assert_allclose(few, alone, atol=1e-6)


@pytest.mark.parametrize("poolings", [("mean", "max"), ("attention",)])
def test_an_embedder_of_whole_texts_is_taken_as_it_is(poolings):
    classifier = TextClassifier(WholeTextEmbedder(), 3, poolings=poolings)
    vectors = classifier.encode(sentences(*TEXTS[:4])).vectors
    assert vectors.shape == (4, 2, 3)
    layers, _ = classifier.embedder(tf.constant(TEXTS[:4]))
    np.testing.assert_allclose(vectors, layers[:, :, 0], atol=1e-6)


@pytest.mark.parametrize(("poolings", "joined"), [(("mean", "max"), True), (("attention",), False)])
def test_layers_are_joined_where_they_are_pooled_before(poolings, joined):
    classifier = TextClassifier(TinyEmbedder(), 3, poolings=poolings, joined=True, l2=0.1)
    assert classifier.classifier.joined is joined
    assert classifier.get_config()["joined"] is joined
    classifier.classifier.head.logits_layer.kernel.assign_add(
        np.random.default_rng(0).normal(size=classifier.classifier.head.logits_layer.kernel.shape)
    )
    encoded = classifier.encode(sentences(*TEXTS))
    logits = classifier(tf.constant(TEXTS))
    np.testing.assert_allclose(classifier.classify(encoded.vectors[encoded.rows]), logits, atol=1e-6)


@pytest.mark.parametrize(("mix_trainable", "mix"), [(True, 3), (False, 0)])
def test_it_counts_its_numbers(mix_trainable, mix):
    classifier = TextClassifier(TinyEmbedder(), 3, mix_trainable=mix_trainable)
    assert classifier.num_trainable == mix + 6 * 3 + 3
    assert classifier.num_frozen == 7 + 2 * 2 * 6 + (3 - mix)
    classifier = TextClassifier(TinyEmbedder(), 3, poolings=("attention",), mix_trainable=mix_trainable)
    assert classifier.num_trainable == mix + (3 * 100 + 100 + 100) + 3 * 3 + 3
    assert classifier.num_frozen == 7 + 2 * 2 * 3 + (3 - mix)


def test_training_the_classifier_trains_the_model(classifier):
    before = np.asarray(classifier(tf.constant(TEXTS)))
    encoded = classifier.encode(sentences(*TEXTS))
    rows = LabelledArrays(encoded.vectors, np.array([0, 1, 2, 0, 1], np.int32), encoded.rows)
    fit(classifier.classifier, rows, rows, TrainingConfig(epochs=3, learning_rate=0.1), seed=1)
    assert not np.allclose(classifier(tf.constant(TEXTS)), before)


def test_its_config_makes_another_of_its_kind(classifier):
    read = json.loads(json.dumps(keras.saving.serialize_keras_object(classifier)))
    again = keras.saving.deserialize_keras_object(read)
    assert again.get_config() == classifier.get_config()
    assert isinstance(again.embedder, TinyEmbedder)
    again.classifier.set_weights(classifier.classifier.get_weights())
    np.testing.assert_array_equal(again(tf.constant(TEXTS)), classifier(tf.constant(TEXTS)))
