"""Modules that work through their own graph can be served, or are refused with the reason."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from classifier.tiny_embedder import TinyEmbedder

from elmo_cli.classifier.served_classifier import ServedClassifier, write_saved_model
from elmo_cli.classifier.text_classifier import TextClassifier
from elmo_cli.elmo.hub.embedder import HubEmbedder
from elmo_cli.elmo.servable import servable
from elmo_cli.elmo.source import resolve
from elmo_cli.errors import SourceError

TEXTS = ["the cat sat .", "", "dog dog"]


def served(embedder: HubEmbedder, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a model server, and of the classifier that it got."""
    classifier = TextClassifier(embedder, 2, standardize=False)
    wanted = tf.nn.softmax(classifier(tf.constant(TEXTS))).numpy()
    inside = servable(embedder, folder / "between")
    graph = ServedClassifier(classifier, inside, tokenizer="whitespace", max_tokens=9, label_names=["a", "b"])
    write_saved_model(graph, folder / "model")
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.loader.load(session, ["serve"], str(folder / "model")).signature_def[
            "serving_default"
        ]
        found = session.run(
            signature.outputs["probabilities"].name,
            {signature.inputs["texts"].name: np.array(TEXTS, object)},
        )
    return found, wanted


def test_a_module_with_a_table_is_served(tf2_modules: Path, tmp_path: Path) -> None:
    embedder = HubEmbedder.from_source(resolve(str(tf2_modules / "text-tf2")))
    found, wanted = served(embedder, tmp_path)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("kind", ["elmo", pytest.param("elmo-resource", marks=pytest.mark.slow)])
def test_an_elmo_in_a_graph_of_tensorflow_1_is_served(tf1_modules: Path, tmp_path: Path, kind: str) -> None:
    embedder = HubEmbedder.from_source(resolve(str(tf1_modules / kind)))
    found, wanted = served(embedder, tmp_path)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_reference_variables_with_a_table_are_refused(tf1_modules: Path, tmp_path: Path) -> None:
    embedder = HubEmbedder.from_source(resolve(str(tf1_modules / "text")))
    with pytest.raises(SourceError, match=r"lookup tables beside its reference variables\. Train on another"):
        servable(embedder, tmp_path / "between")


def test_other_embedders_stay_as_they_are(tmp_path: Path) -> None:
    embedder = TinyEmbedder()
    assert servable(embedder, tmp_path / "between") is embedder
