"""Windows of words in training: what convolutions over all places give, and their gradient."""

import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.bilm.character_cnn import CharacterCNN
from elmo_cli.bilm.characters import NUM_CHARACTERS, PADDING, token_characters
from elmo_cli.bilm.windows import best_windows

WIDTHS = {1: 3, 2: 4, 5: 6}
# The empty one, one that repeats itself, one that just fits into 12 characters, one that is cut.
WORDS = ["", "a", "haha haha", "abcdefghij", "abcdefghijklmnop", "é"]


def spelled(words: list[str], width: int) -> np.ndarray:
    return token_characters(tf.constant(words), width).numpy()


def holes() -> np.ndarray:
    """Ids that spell no word: padding in the middle, at the beginning, everywhere."""
    ids = np.random.default_rng(1).integers(0, NUM_CHARACTERS, (4, 9))
    ids[0, 3:5], ids[1, :2], ids[2] = PADDING, PADDING, PADDING
    return ids.astype(np.int32)


BATCHES = {
    "much padding": spelled(WORDS, 30),
    "no padding": spelled(WORDS, 12),
    "no wider than a filter": spelled(WORDS, 5),
    "holes": holes(),
    "no words": spelled(WORDS, 12)[:0],
}


def weights(dtype: str = "float64") -> tuple[tf.Tensor, list[tf.Tensor]]:
    random = np.random.default_rng(0)
    embedding = tf.constant(random.normal(size=(NUM_CHARACTERS, 4)), dtype)
    kernels = [tf.constant(random.normal(size=(width, 4, number)), dtype) for width, number in WIDTHS.items()]
    return embedding, kernels


def convolved(embedding: tf.Tensor, kernels: list[tf.Tensor], ids: np.ndarray) -> tf.Tensor:
    characters = tf.gather(embedding, ids)
    found = [tf.reduce_max(tf.nn.conv1d(characters, kernel, 1, "VALID"), axis=1) for kernel in kernels]
    return tf.concat(found, axis=1)


@pytest.mark.parametrize("ids", BATCHES.values(), ids=BATCHES.keys())
def test_values_and_gradients_are_those_of_convolutions(ids: np.ndarray):
    embedding, kernels = weights()
    upstream = np.random.default_rng(2).normal(size=(len(ids), sum(WIDTHS.values())))
    found = []
    for way in (convolved, best_windows):
        with tf.GradientTape() as tape:
            tape.watch([embedding, *kernels])
            value = way(embedding, kernels, tf.constant(ids))
            loss = tf.reduce_sum(value * upstream)
        gradients = tape.gradient(loss, [embedding, *kernels])
        found.append([value, *map(tf.convert_to_tensor, gradients)])
    for expected, actual in zip(*found, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-12)


def test_the_gradient_agrees_with_finite_differences():
    ids = tf.constant(BATCHES["much padding"])
    upstream = np.random.default_rng(2).normal(size=(len(WORDS), sum(WIDTHS.values())))
    theoretical, numerical = tf.test.compute_gradient(
        lambda embedding, *kernels: tf.reduce_sum(upstream * best_windows(embedding, kernels, ids)),
        [weights()[0], *weights()[1]],
        delta=1e-6,
    )
    for exact, estimated in zip(theoretical, numerical, strict=True):
        np.testing.assert_allclose(exact, estimated, rtol=1e-6, atol=1e-6)


def test_in_training_a_character_cnn_gives_the_same_without_knowing_the_numbers_of_words_and_characters():
    cnn = CharacterCNN(4, list(WIDTHS.items()), 1, 6)
    cnn.build((None, None))

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)], autograph=False)
    def both(ids: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return cnn(ids, training=True), cnn(ids)

    for ids in BATCHES.values():
        if len(ids):  # on some processors TensorFlow's own convolution of nothing in a graph is an error
            actual, expected = both(ids)
            np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


def test_in_training_no_words_have_no_vectors():
    cnn = CharacterCNN(4, list(WIDTHS.items()), 1, 6)
    cnn.build((None, None))
    graph = tf.function(lambda ids: cnn(ids, training=True), autograph=False)
    assert graph(tf.constant(BATCHES["no words"])).shape == (0, 6)


def test_in_bfloat16_the_best_window_is_that_of_float32_but_for_rounding():
    ids = BATCHES["much padding"]
    exact, rounded = (best_windows(*weights(dtype), tf.constant(ids)) for dtype in ("float32", "bfloat16"))
    assert rounded.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(rounded, tf.float32), exact, rtol=0.02, atol=0.05)
