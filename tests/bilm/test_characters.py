"""Spelling inside the graph, against plain Python."""

import numpy as np
import pytest
import tensorflow as tf
from bilm.oracle import BOS, EOS, character_ids
from bilm.tiny_bilm import layers_of, tiny_bilm, tiny_options

from elmo_cli.bilm.batches import Speller
from elmo_cli.bilm.characters import sentence_characters, sentence_marks, token_characters

TOKENS = [
    "",
    "a",
    "naïve",
    "x" * 47,
    "x" * 48,
    "x" * 49,
    "x" * 46 + "é",
    "x" * 47 + "é",
    "x" * 46 + "🙂",
    "🙂" * 30,
    "a\0b",
    "\0",
    "\0" * 60,
    "\u200bzero\u2028width",
]


def test_tokens_are_spelled_as_plain_python_does() -> None:
    actual = token_characters(tf.constant(TOKENS), 50)
    assert actual.dtype == tf.int32
    np.testing.assert_array_equal(actual, [character_ids(token, 50) for token in TOKENS])


def test_a_narrow_width_cuts_the_last_bytes_and_keeps_the_end_mark() -> None:
    np.testing.assert_array_equal(token_characters(tf.constant(["abc", "a", ""]), 4)[0], [258, 97, 98, 259])


def test_bytes_that_are_not_utf8_are_bytes_like_others() -> None:
    np.testing.assert_array_equal(
        token_characters(tf.constant([b"\xff\xfe"]), 5), [[258, 255, 254, 259, 260]]
    )


def test_sentence_marks_are_spelled_as_published() -> None:
    np.testing.assert_array_equal(sentence_marks(50), [character_ids(BOS, 50), character_ids(EOS, 50)])


def test_sentences_become_rows_of_their_distinct_tokens() -> None:
    batch = sentence_characters(tf.constant(["a b a", "b"]), 50, 3)
    np.testing.assert_array_equal(batch.ids, [character_ids(token, 6) for token in (BOS, EOS, "a", "b")])
    np.testing.assert_array_equal(batch.index, [[0, 2, 3, 2, 1], [0, 3, 1, 0, 0]])
    np.testing.assert_array_equal(batch.lengths, [3, 1])


def test_an_empty_sentence_is_one_empty_token_and_double_spaces_hold_one() -> None:
    batch = sentence_characters(tf.constant(["", "a  b"]), 50, 3)
    np.testing.assert_array_equal(batch.lengths, [1, 3])
    np.testing.assert_array_equal(batch.index, [[0, 2, 1, 0, 0], [0, 3, 2, 4, 1]])


def test_spaces_that_are_not_the_plain_one_part_no_tokens() -> None:
    batch = sentence_characters(tf.constant(["a\u00a0b\u2003c\td"]), 50, 3)
    np.testing.assert_array_equal(batch.lengths, [1])


@pytest.mark.parametrize("longest", ["", "a", "ab", "x" * 44, "x" * 45, "x" * 46, "x" * 60])
def test_cutting_the_width_changes_no_vector(longest: str) -> None:
    bilm = tiny_bilm(tiny_options(cnn={"filters": ((1, 3), (2, 4), (5, 6))}))
    cut = sentence_characters(tf.constant([longest]), 50, 5)
    whole = sentence_characters(tf.constant([longest]), 50, 50)
    assert whole.ids.shape[1] == 50
    assert cut.ids.shape[1] == min(50, max(1, len(longest)) + 7)
    np.testing.assert_array_equal(cut.ids, whole.ids[:, : cut.ids.shape[1]])
    np.testing.assert_allclose(bilm.character_cnn(cut.ids), bilm.character_cnn(whole.ids), rtol=0, atol=1e-6)


def test_one_window_less_would_change_a_vector() -> None:
    bilm = tiny_bilm(tiny_options(cnn={"filters": ((5, 60),)}))
    ids = sentence_characters(tf.constant(["abc"]), 50, 5).ids
    difference = bilm.character_cnn(ids[:, :-1]) - bilm.character_cnn(ids)
    assert np.abs(difference).max() > 1e-3


def test_the_speller_of_training_spells_as_the_graph_does() -> None:
    tokens = [token for token in TOKENS if " " not in token]
    sentences = [tokens, tokens[::-1], ["a"] * len(tokens)]
    speller = Speller(50, 7)
    for chosen in (sentences, [["a", "b"]], [[""]], [["x" * 60]]):
        ids, index = speller.spell(chosen)
        graph = sentence_characters(tf.constant([" ".join(tokens) for tokens in chosen]), 50, 7)
        np.testing.assert_array_equal(ids, graph.ids)
        np.testing.assert_array_equal(index, graph.index)
        assert ids.dtype == index.dtype == np.int32


def test_a_token_that_looks_like_a_sentence_mark_is_none() -> None:
    bilm = tiny_bilm()
    vectors = layers_of(bilm, ["<S> </S>"])[0, 0, :, :5]
    marks = bilm.character_cnn(sentence_marks(50)).numpy()
    assert np.abs(vectors - marks).max() > 0.01
