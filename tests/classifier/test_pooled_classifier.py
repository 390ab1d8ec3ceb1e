"""The part that is trained."""

import numpy as np
import pytest
from layer_battery import check_layer

from elmo_cli.classifier.pooled_classifier import PooledClassifier
from elmo_cli.config import TrainingConfig
from elmo_cli.training.arrays import LabelledArrays
from elmo_cli.training.determinism import make_deterministic
from elmo_cli.training.loop import fit

POOLED = np.random.default_rng(0).normal(size=(5, 3, 8)).astype(np.float32)


@pytest.mark.parametrize(
    ("arguments", "trainable", "fixed"),
    [
        ({}, 4, 2),
        ({"mix_trainable": False}, 2, 4),
        ({"standardize": False, "hidden": [6], "dropout": 0.1, "mix_l2": 0.0}, 6, 0),
        ({"joined": True, "hidden": [6]}, 6, 2),
    ],
)
def test_battery(arguments, trainable, fixed):
    check_layer(
        PooledClassifier,
        {"num_classes": 4, **arguments},
        POOLED,
        expected_output_shape=(5, 4),
        expected_num_trainable=trainable,
        expected_num_non_trainable=fixed,
    )


TOKENS = np.random.default_rng(1).normal(size=(5, 3, 6, 8)).astype(np.float32)
for row, num_tokens in enumerate([6, 1, 3, 5, 2]):
    TOKENS[row, :, num_tokens:] = 0


@pytest.mark.parametrize(
    ("arguments", "trainable", "fixed"),
    [
        ({"poolings": ["attention"]}, 7, 2),
        ({"poolings": ["mean", "max", "attention"], "hidden": [6], "mix_trainable": False}, 7, 4),
        ({"poolings": ["max"], "standardize": False}, 4, 0),
    ],
)
def test_the_battery_with_tokens(arguments, trainable, fixed):
    check_layer(
        PooledClassifier,
        {"num_classes": 4, **arguments},
        TOKENS,
        expected_output_shape=(5, 4),
        expected_num_trainable=trainable,
        expected_num_non_trainable=fixed,
        unmoved=("kernel", "bias"),  # of attention; its query is zero in the first step
    )


def attentive() -> PooledClassifier:
    """A classifier of tokens as if trained: every weight has a value of its own."""
    classifier, random = PooledClassifier(4, poolings=("mean", "attention")), np.random.default_rng(2)
    classifier.adapt(TOKENS)
    for weight in classifier.trainable_weights:
        weight.assign(random.normal(size=weight.shape))
    return classifier


def test_padding_and_batch_mates_change_nothing():
    classifier = attentive()
    logits, padded = classifier(TOKENS), np.pad(TOKENS, ((0, 0), (0, 0), (0, 7), (0, 0)))
    np.testing.assert_allclose(classifier(padded), logits, atol=1e-5)
    for row, num_tokens in enumerate([6, 1, 3, 5, 2]):
        alone = classifier(TOKENS[row : row + 1, :, :num_tokens])
        np.testing.assert_allclose(alone[0], logits[row], atol=1e-5)


def test_with_tokens_it_is_standardise_mix_attention_and_head():
    classifier = attentive()
    attention = classifier.pooling.parts[1]
    kernel, bias, query = attention.get_weights()
    mean, scale = (np.asarray(weight)[:, None] for weight in classifier.standardize_layer.weights)
    shares = np.exp(classifier.mix.w) / np.exp(classifier.mix.w).sum()
    for row, num_tokens in enumerate([6, 1, 3, 5, 2]):
        tokens = TOKENS[row, :, :num_tokens]
        mixed = float(classifier.mix.gamma) * np.einsum("l,ltd->td", shares, (tokens - mean) * scale)
        weights = np.exp(np.tanh(mixed @ kernel + bias) @ query)
        pooled = np.concatenate([np.mean(mixed, axis=0), weights @ mixed / weights.sum()])
        expected = pooled @ classifier.head.get_weights()[0] + classifier.head.get_weights()[1]
        np.testing.assert_allclose(classifier(TOKENS)[row], expected, rtol=1e-4, atol=1e-4)


def test_it_counts_its_numbers():
    classifier = PooledClassifier(4, hidden=(6,))
    classifier.build(POOLED.shape)
    assert classifier.num_trainable == (3 + 1) + (8 * 6 + 6) + (6 * 4 + 4)
    assert classifier.num_frozen == 2 * 3 * 8


def test_without_standardisation_it_is_mix_and_head():
    classifier = PooledClassifier(4, standardize=False)
    classifier.adapt(POOLED)
    logits = classifier(POOLED)
    kernel, bias = classifier.head.get_weights()
    np.testing.assert_allclose(logits, POOLED.mean(axis=1) @ kernel + bias, atol=1e-5)


def test_joined_layers_stand_side_by_side_scaled_by_their_shares():
    classifier = PooledClassifier(4, joined=True, standardize=False)
    classifier.adapt(POOLED)
    classifier.mix.w.assign([0.0, np.log(2), 0.0])
    classifier.mix.gamma.assign(3.0)
    scaled = POOLED * 3 * np.array([0.25, 0.5, 0.25])[:, None]
    kernel, bias = classifier.head.get_weights()
    assert kernel.shape == (3 * 8, 4)
    np.testing.assert_allclose(classifier(POOLED), scaled.reshape(5, 24) @ kernel + bias, atol=1e-5)


def test_token_vectors_cannot_be_joined():
    with pytest.raises(ValueError, match="mixed before they are pooled"):
        PooledClassifier(4, joined=True, poolings=("attention",))


def train(**arguments: object) -> tuple[PooledClassifier, PooledClassifier]:
    """A classifier that was trained on rows whose class shows in the middle layer alone, and one before."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 200).astype(np.int32)
    pooled = random.normal(size=(200, 3, 8)).astype(np.float32)
    pooled[:, 1, 0] += 4 * targets
    trained = []
    for epochs in (1, 40):
        make_deterministic(1)
        classifier = PooledClassifier(2, **arguments)
        classifier.adapt(pooled)
        rows = LabelledArrays(pooled, targets)
        fit(classifier, rows, rows, TrainingConfig(epochs=epochs, learning_rate=0.02), seed=1)
        trained.append(classifier)
    return trained[1], trained[0]


@pytest.mark.parametrize("joined", [False, True])
def test_a_trained_mix_finds_the_layer_that_matters(joined):
    classifier, _ = train(joined=joined)
    assert np.argmax(classifier.mix.w) == 1


def test_a_frozen_mix_stays_and_so_does_standardisation():
    classifier, before = train(mix_trainable=False)
    np.testing.assert_array_equal(classifier.mix.w, np.zeros(3))
    np.testing.assert_array_equal(classifier.standardize_layer.mean, before.standardize_layer.mean)
    assert not np.array_equal(classifier.head.get_weights()[0], before.head.get_weights()[0])


def test_attention_learns_which_token_decides():
    """The class shows in one token of each text, marked as such in another dimension; the mean drowns it."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 300).astype(np.int32)
    tokens = random.normal(size=(300, 1, 20, 8)).astype(np.float32)
    places = random.integers(0, 20, 300)
    tokens[:, 0, :, 0] = random.choice([-2, 2], (300, 20))
    tokens[np.arange(300), 0, places, 0] = 4 * targets - 2
    tokens[np.arange(300), 0, places, 1] = 6
    rows, accuracies = LabelledArrays(tokens, targets), {}
    for pooling in ("mean", "attention"):
        make_deterministic(1)
        classifier = PooledClassifier(2, poolings=(pooling,), dropout=0)
        classifier.adapt(tokens)
        fit(classifier, rows, rows, TrainingConfig(epochs=30, patience=30, learning_rate=0.02), seed=1)
        accuracies[pooling] = np.mean(np.argmax(classifier(tokens), axis=1) == targets)
    assert accuracies["attention"] > 0.98
    assert accuracies["mean"] < 0.8
