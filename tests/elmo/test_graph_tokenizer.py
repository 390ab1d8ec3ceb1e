import csv
import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_battery import check_layer

from elmo_cli.elmo.graph_tokenizer import GraphTokenizer
from elmo_cli.errors import ConfigError
from elmo_cli.text.tokens import tokenizer

NAMES = ("treebank", "whitespace")
EDGE_CASES = [
    "",
    " ",
    "don't",
    "He said: \u201cIt\u2019s fine\u2026\u201d \u2014 didn\u2019t he?",
    "a\N{NO-BREAK SPACE}b\N{IDEOGRAPHIC SPACE}c\u2028d\u2029e\x85f\x0bg\x0ch",
    "a\x00b\x01c\x06",
    "line one\nline two\r\nline three\rline four\n",
    "\ufeffstarts with a byte order mark",
    "zero\u200bwidth",
    "你好,世界!これは本です。",
    "👍🏽 emoji 👩\u200d👩\u200d👧 and e\u0301 combining",
    "İstanbul ß Ǆ ﬁ",
    "ends with Dr.",
    "U.S. 3.14 1,000,000 http://a.b/c?d=e&f=g",
    "''quoted'' ``and'' \"so\" on",
    "cannot gonna wanna 'tis 'em rock'n'roll '90s",
    "\\1 \\0 $1 a\\b",
    "x" * 5000,
]


def in_the_graph(name: str, texts: list[str]) -> list[str]:
    return [text.decode() for text in tf.function(GraphTokenizer(name))(tf.constant(texts)).numpy()]


@pytest.mark.parametrize("name", NAMES)
def test_edge_cases_are_as_in_python(name):
    assert in_the_graph(name, EDGE_CASES) == [tokenizer(name).join(text) for text in EDGE_CASES]


@pytest.mark.parametrize("name", NAMES)
def test_random_strings_are_as_in_python(name):
    alphabet = (
        "aANnTtsS'.,:;!? \n\t\x00\x01\x02\r\x85\xa0\u2028\u3000"
        '\u201c\u201d\u2018\u2019\u2014\u2013\u2026`"-/019()[]é中😀\u200b\ufeff'
    )
    choose = random.Random(1)
    texts = ["".join(choose.choices(alphabet, k=choose.randint(0, 30))) for _ in range(3000)]
    assert in_the_graph(name, texts) == [tokenizer(name).join(text) for text in texts]


@pytest.mark.parametrize("name", NAMES)
def test_the_measuring_sets_are_as_in_python(name, shared):
    texts = []
    for path in sorted((shared / "datasets").glob("*/test.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            texts += [row[0] for row in csv.reader(file)]
    assert in_the_graph(name, texts) == tokenizer(name).join_all(texts)


def test_it_works_inside_of_a_keras_model_and_keeps_the_shape():
    inputs = keras.Input((2,), dtype="string")
    model = keras.Model(inputs, GraphTokenizer()(inputs))
    texts = np.array([["Don't!", "a  b"], ["", "x."]], dtype=object)
    assert model.predict(tf.constant(texts), verbose=0).tolist() == [[b"Do n't !", b"a b"], [b"", b"x ."]]


@pytest.mark.parametrize("name", NAMES)
def test_the_battery(name):
    texts = np.array(EDGE_CASES, dtype=object)
    check_layer(
        GraphTokenizer,
        {"tokenizer": name},
        texts,
        expected_output_shape=(len(texts),),
        expected_num_trainable=0,
        symbolic=False,  # the battery knows no outputs of strings; see the test before
    )


def test_an_unknown_tokenizer_is_refused():
    with pytest.raises(ConfigError, match="treebank"):
        GraphTokenizer("moses")
