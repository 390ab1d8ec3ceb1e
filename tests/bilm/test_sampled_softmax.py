import numpy as np
import tensorflow as tf

from elmo_cli.bilm.sampled_softmax import cross_entropy, sampled_softmax_losses


def example(num_rows: int = 7) -> dict[str, tf.Tensor]:
    random = np.random.default_rng(1)
    return {
        "hidden": tf.constant(random.normal(size=(num_rows, 4)), tf.float32),
        "true_logits": tf.constant(random.normal(size=num_rows), tf.float32),
        "targets": tf.constant(random.integers(0, 9, num_rows), tf.int32),
        "kernel": tf.constant(random.normal(size=(5, 4)), tf.float32),
        "bias": tf.constant(random.normal(size=5), tf.float32),
        "negatives": tf.constant([0, 2, 3, 5, 8], tf.int32),
    }


def test_losses_are_cross_entropies_without_the_true_word_among_the_sample() -> None:
    given = {name: value.numpy() for name, value in example().items()}
    logits = given["hidden"] @ given["kernel"].T + given["bias"]
    expected = []
    for row, (true, word) in enumerate(zip(given["true_logits"], given["targets"], strict=True)):
        others = logits[row][given["negatives"] != word]
        expected.append(np.log(np.exp(true) + np.exp(others).sum()) - true)
    assert set(given["targets"]) & set(given["negatives"]), "some true words must be in the sample"
    np.testing.assert_allclose(sampled_softmax_losses(**example()), expected, rtol=1e-5)


def test_the_gradient_is_that_of_automatic_differentiation() -> None:
    given = example(num_rows=1030)  # more than are filled up to at once
    sources = [given[name] for name in ("hidden", "true_logits", "kernel", "bias")]
    weights = tf.constant(np.random.default_rng(2).normal(size=1030), tf.float32)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(sources)
        actual = tf.reduce_sum(weights * sampled_softmax_losses(**given))
        logits = tf.matmul(given["hidden"], given["kernel"], transpose_b=True)
        plain = cross_entropy(
            logits, given["true_logits"], given["bias"], given["targets"], given["negatives"]
        )
        expected = tf.reduce_sum(weights * plain[0])
    for one, other in zip(tape.gradient(actual, sources), tape.gradient(expected, sources), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


def test_large_logits_do_not_overflow() -> None:
    given = example()
    for scale in (1e4, -1e4):
        losses = sampled_softmax_losses(**given | {"true_logits": scale * tf.ones(7)})
        assert np.isfinite(losses).all()
