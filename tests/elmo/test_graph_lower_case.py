"""Lower case inside a graph is Python's, whatever Unicode and language the server knows."""

import random
import sys

import pytest
import tensorflow as tf

from elmo_cli.elmo.graph_lower_case import GraphLowerCase


@pytest.fixture(scope="module")
def lower_case() -> GraphLowerCase:
    return GraphLowerCase()


def in_the_graph(lower_case: GraphLowerCase, texts: list[str]) -> list[str]:
    graph = tf.function(lower_case, input_signature=[tf.TensorSpec([None], tf.string)])
    return [text.decode() for text in graph(tf.constant(texts, tf.string)).numpy()]


def test_every_character_is_as_in_python(lower_case: GraphLowerCase) -> None:
    texts = [chr(code) for code in range(1, sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    wrong = [
        text
        for text, found in zip(texts, in_the_graph(lower_case, texts), strict=True)
        if found != text.lower()
    ]
    assert wrong == []


def test_a_sigma_is_final_where_python_says_so(lower_case: GraphLowerCase) -> None:
    choose = random.Random(1)
    alphabet = "\u03a3\u03a3\u03a3a\u0391\u02b0'\u2019.\u0301 \u0130I1\xdf\u01c5\xad:\n\u4f60"
    texts = ["".join(choose.choices(alphabet, k=choose.randint(0, 12))) for _ in range(5000)]
    assert in_the_graph(lower_case, texts) == [text.lower() for text in texts]


def test_no_text_is_no_text(lower_case: GraphLowerCase) -> None:
    assert in_the_graph(lower_case, []) == []
    assert in_the_graph(lower_case, ["", "ISPARTA"]) == ["", "isparta"]
