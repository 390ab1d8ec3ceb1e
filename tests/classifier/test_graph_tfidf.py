"""TF-IDF inside a graph says what the part says in Python."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.classifier import graph_tfidf
from elmo_cli.classifier.graph_tfidf import GraphTfidf
from elmo_cli.classifier.tfidf_part import TfidfPart
from elmo_cli.text.tfidf import Tfidf

WORDS = [
    "salt",
    "SOUP",
    "bread",
    "Rain",
    "\u00dcber",
    "\u03a3\u0391\u03a3",
    "\u4f60",
    "\U0001f600",
    "n't",
    ".",
]
TEXTS = [
    "salt soup bread",
    "SALT SALT salt Soup salt soup",
    "",
    "unknown words only",
    "rain " * 50 + "\u00fcber",
    "\u03c3\u03b1\u03c2 \u03a3\u0391\u03a3 \u4f60 \U0001f600 n't .",
    "rain",
]


def made_part(num_classes: int = 3) -> TfidfPart:
    random = np.random.default_rng(3)
    tfidf = Tfidf.fit([" ".join(random.choice(WORDS, 6)) for _ in range(30)])
    kernel = random.normal(size=(len(tfidf.vocabulary), num_classes)).astype(np.float32)
    bias = random.normal(size=num_classes).astype(np.float32)
    return TfidfPart(tfidf, kernel, bias, 1.0, elmo_share=0.7, tfidf_share=0.9)


def probabilities(num_rows: int, num_classes: int = 3) -> np.ndarray:
    found = np.random.default_rng(4).dirichlet(np.ones(num_classes), num_rows).astype(np.float32)
    found[:1] = np.eye(num_classes)[0]  # one that is sure
    return found


def joined_in_a_graph(part: TfidfPart, elmo: np.ndarray, texts: list[str]) -> np.ndarray:
    graph = tf.function(GraphTfidf(part), autograph=False)
    return graph(tf.constant(elmo), tf.constant(texts, tf.string)).numpy()


@pytest.mark.parametrize("num_classes", [2, 3])
def test_it_joins_as_the_part_does(num_classes: int) -> None:
    part, elmo = made_part(num_classes), probabilities(len(TEXTS), num_classes)
    found = joined_in_a_graph(part, elmo, TEXTS)
    np.testing.assert_allclose(found, part.join(elmo, TEXTS), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_few_fingerprints_do_not_mix_words_up(monkeypatch: pytest.MonkeyPatch) -> None:
    part, elmo = made_part(), probabilities(300)
    few = [ngram for ngram in part.tfidf.vocabulary if " " not in ngram]
    tfidf = Tfidf(tuple(few), part.tfidf.idf[: len(few)])
    part = replace(part, tfidf=tfidf, kernel=part.kernel[: len(few)])
    # With so few fingerprints keys must be tried, and nearly every unknown word has one of a known word.
    monkeypatch.setattr(graph_tfidf, "_NUM_FINGERPRINTS", 20)
    texts = [f"soup word{number}" for number in range(300)]
    found = joined_in_a_graph(part, elmo, texts)
    np.testing.assert_allclose(found, part.join(elmo, texts), atol=1e-6)


def test_a_part_without_words_has_its_bias() -> None:
    part = made_part()
    part = replace(part, tfidf=Tfidf((), np.empty(0, np.float32)), kernel=np.empty((0, 3), np.float32))
    elmo = probabilities(2)
    np.testing.assert_allclose(
        joined_in_a_graph(part, elmo, ["", "a b"]), part.join(elmo, ["", "a b"]), atol=1e-6
    )


def test_no_text_gives_no_row() -> None:
    assert joined_in_a_graph(made_part(), probabilities(0), []).shape == (0, 3)
