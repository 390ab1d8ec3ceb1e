"""A classifier on disk."""

import json

import numpy as np
import pytest
import tensorflow as tf
from classifier.tiny_embedder import OTHER_SOURCE, TinyEmbedder, sentences

from elmo_cli.classifier.saving import (
    CONFIG_FILE,
    TFIDF_FILE,
    WEIGHTS_FILE,
    SavedElmo,
    load,
    load_tfidf,
    save,
    saved_elmo,
)
from elmo_cli.classifier.text_classifier import TextClassifier
from elmo_cli.classifier.tfidf_part import TfidfPart
from elmo_cli.errors import RunError

# Keras 3.15 reads its own variables with np.array(), which NumPy 2 warns about.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")

TEXTS = ["a b c", "d", "the quick brown fox"]


@pytest.fixture(params=[["max"], ["mean", "attention"]], ids=",".join)
def classifier(request: pytest.FixtureRequest) -> TextClassifier:
    """As if trained: every weight has a value of its own."""
    classifier = TextClassifier(
        TinyEmbedder(), 3, poolings=request.param, hidden=[4], dropout=0.25, mix_l2=0.5, mix_trainable=False
    )
    random = np.random.default_rng(0)
    trained = classifier.classifier
    trained.set_weights([random.normal(size=weight.shape) for weight in trained.get_weights()])
    return classifier


@pytest.fixture
def saved(classifier, tmp_path):
    save(classifier, tmp_path / "model")
    return tmp_path / "model"


def test_logits_come_back_to_the_last_bit(classifier, saved):
    again = load(saved, TinyEmbedder())
    np.testing.assert_array_equal(again(tf.constant(TEXTS)), classifier(tf.constant(TEXTS)))
    of_their_own = {"name": "", "embedder": None}
    assert again.get_config() | of_their_own == classifier.get_config() | of_their_own


@pytest.mark.parametrize("pooling", ["max", "attention"])
def test_standardisation_is_saved_too(tmp_path, pooling):
    classifier = TextClassifier(TinyEmbedder(), 3, poolings=[pooling])
    vectors = classifier.encode(sentences(*TEXTS)).vectors
    classifier.classifier.adapt(vectors)
    save(classifier, tmp_path)
    np.testing.assert_array_equal(
        load(tmp_path, TinyEmbedder()).classify(vectors), classifier.classify(vectors)
    )


def test_only_two_files_are_written_and_elmo_is_named(saved):
    assert sorted(path.name for path in saved.iterdir()) == [WEIGHTS_FILE, CONFIG_FILE]
    assert saved_elmo(saved) == SavedElmo("tiny", "a" * 64)


def test_the_same_classifier_gives_the_same_bytes(classifier, saved, tmp_path):
    save(classifier, tmp_path / "again")
    for name in (WEIGHTS_FILE, CONFIG_FILE):
        assert (tmp_path / "again" / name).read_bytes() == (saved / name).read_bytes()


def test_another_elmo_is_refused(saved):
    with pytest.raises(RunError, match=f"tiny with fingerprint {'a' * 64}.*{'b' * 64}"):
        load(saved, TinyEmbedder(source=OTHER_SOURCE))


def test_damaged_weights_are_refused(saved):
    weights = saved / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(RunError, match=f"{WEIGHTS_FILE} is not the file"):
        load(saved, TinyEmbedder())


def test_missing_files_are_named(saved, tmp_path):
    with pytest.raises(RunError, match="holds no saved classifier"):
        load(tmp_path, TinyEmbedder())
    (saved / WEIGHTS_FILE).unlink()
    with pytest.raises(RunError, match=f"{WEIGHTS_FILE} cannot be read"):
        load(saved, TinyEmbedder())


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format_version": 1, "elmo": {}}'])
def test_a_damaged_description_is_refused(saved, text):
    (saved / CONFIG_FILE).write_text(text)
    with pytest.raises(RunError, match=f"{CONFIG_FILE} cannot be read"):
        load(saved, TinyEmbedder())


def test_a_later_format_is_refused(saved):
    config = json.loads((saved / CONFIG_FILE).read_text())
    (saved / CONFIG_FILE).write_text(json.dumps({**config, "format_version": 99}))
    with pytest.raises(RunError, match="format version 99"):
        load(saved, TinyEmbedder())


def test_an_embedder_of_another_width_is_refused(saved):
    class Wider(TinyEmbedder):
        dim = 5

    with pytest.raises(RunError, match=r"expects vectors of \[2, (3|None, 3)\]"):
        load(saved, Wider())


def version(directory):
    return json.loads((directory / CONFIG_FILE).read_text())["format_version"]


def test_a_tfidf_part_is_kept_beside_it_and_older_versions_are_told(classifier, saved):
    without = version(saved)
    assert without == (2 if "attention" in classifier.poolings else 1)
    assert load_tfidf(saved) is None
    part = TfidfPart.fit(TEXTS, np.arange(3, dtype=np.int32))
    save(classifier, saved, part)
    assert version(saved) == 3
    assert load(saved, TinyEmbedder()).poolings == classifier.poolings
    again = load_tfidf(saved)
    np.testing.assert_array_equal(again.log_probabilities(TEXTS), part.log_probabilities(TEXTS))
    save(classifier, saved)
    assert load_tfidf(saved) is None


def test_layers_side_by_side_and_a_penalty_come_back(tmp_path):
    classifier = TextClassifier(TinyEmbedder(), 3, joined=True, l2=0.5)
    save(classifier, tmp_path)
    assert version(tmp_path) == 3
    again = load(tmp_path, TinyEmbedder())
    assert (again.classifier.joined, again.classifier.l2) == (True, 0.5)
    np.testing.assert_array_equal(again(tf.constant(TEXTS)), classifier(tf.constant(TEXTS)))


def test_what_older_versions_know_is_written_as_they_wrote_it(saved):
    arguments = json.loads((saved / CONFIG_FILE).read_text())["classifier"]
    assert not {"l2", "joined"} & set(arguments)


def test_a_tfidf_part_of_another_saving_is_refused(classifier, saved):
    save(classifier, saved, TfidfPart.fit(TEXTS, np.arange(3, dtype=np.int32)))
    content = (saved / TFIDF_FILE).read_bytes()
    (saved / TFIDF_FILE).write_bytes(content[:-10])
    with pytest.raises(RunError, match=f"{TFIDF_FILE} is not the file"):
        load_tfidf(saved)
    (saved / TFIDF_FILE).unlink()
    with pytest.raises(RunError, match=f"{TFIDF_FILE} cannot be read"):
        load_tfidf(saved)
