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


def test_a_trained_mix_finds_the_layer_that_matters():
    classifier, _ = train()
    assert np.argmax(classifier.mix.w) == 1


def test_a_frozen_mix_stays_and_so_does_standardisation():
    classifier, before = train(mix_trainable=False)
    np.testing.assert_array_equal(classifier.mix.w, np.zeros(3))
    np.testing.assert_array_equal(classifier.standardize_layer.mean, before.standardize_layer.mean)
    assert not np.array_equal(classifier.head.get_weights()[0], before.head.get_weights()[0])
