"""Batches of texts for a biLM in training: what the graph would have made of them."""

import numpy as np
import pytest
import tensorflow as tf
from bilm.tiny_bilm import OPTIONS

from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.classifier.token_batches import TokenBatches

TEXTS = np.array(["the bank of the river", "", "a cat", "ü" * 60 + " sat", "naïve 今天 \x00"], object)


@pytest.mark.parametrize("rows", [[0, 1, 2], [3], [4, 0], [1]])
def test_a_batch_spells_what_the_graph_spells(rows: list[int]):
    batch = TokenBatches(TEXTS, OPTIONS).batch(np.array(rows))
    cnn = OPTIONS.char_cnn
    characters = sentence_characters(
        tf.constant(TEXTS[rows]), cnn.max_characters_per_token, cnn.max_filter_width
    )
    np.testing.assert_array_equal(batch["lengths"], characters.lengths)
    ours, theirs = batch["character_ids"][batch["index"]], characters.ids.numpy()[characters.index.numpy()]
    np.testing.assert_array_equal(ours, theirs)


def test_vectors_of_words_take_the_place_of_their_letters():
    batches = TokenBatches(TEXTS, OPTIONS)
    vectors = np.arange(len(batches.characters), dtype=np.float32)[:, None]
    rows = np.array([2, 0])
    batch, spelled = batches.batch(rows, vectors), batches.batch(rows)
    numbers = batch["token_vectors"][batch["index"]][..., 0].astype(int)
    width = spelled["character_ids"].shape[1]
    np.testing.assert_array_equal(
        batches.characters[numbers][..., :width], spelled["character_ids"][spelled["index"]]
    )
    assert "character_ids" not in batch


def test_each_distinct_word_of_a_batch_stands_in_it_once():
    batch = TokenBatches(TEXTS, OPTIONS).batch(np.array([0, 0, 2]))
    assert len(batch["character_ids"]) == 2 + len({"the", "bank", "of", "river", "a", "cat"})
