"""A classifier that is surer than it is right is made less sure, and predicts what it did."""

import numpy as np
import pytest
from keras import ops

from elmo_cli.classifier.calibration import calibrate
from elmo_cli.classifier.pooled_classifier import PooledClassifier

ROWS, CLASSES = 4000, 3


def _classifier() -> PooledClassifier:
    """One layer of three numbers that are the logits themselves."""
    classifier = PooledClassifier(CLASSES, dropout=0.0, standardize=False, name="classifier")
    classifier.build((None, 1, CLASSES))
    classifier.head.logits_layer.set_weights([np.eye(CLASSES), np.zeros(CLASSES)])
    return classifier


def _probabilities(classifier: PooledClassifier, vectors: np.ndarray) -> np.ndarray:
    return ops.convert_to_numpy(ops.softmax(classifier(vectors)))


@pytest.mark.parametrize("too_sure", [0.5, 1.0, 2.5])
def test_the_temperature_is_found_and_no_prediction_changes(too_sure: float):
    random = np.random.default_rng(0)
    logits = random.normal(scale=2.0, size=(ROWS, CLASSES))
    targets = (logits + random.gumbel(size=logits.shape)).argmax(axis=1).astype(np.int32)
    vectors = (too_sure * logits)[:, None].astype(np.float32)
    classifier = _classifier()
    before = _probabilities(classifier, vectors)
    temperature = calibrate(classifier, before, targets, np.ones(ROWS, np.float32))
    after = _probabilities(classifier, vectors)
    assert temperature == pytest.approx(too_sure, rel=0.1)
    np.testing.assert_array_equal(after.argmax(axis=1), before.argmax(axis=1))
    np.testing.assert_allclose(
        np.log(before[0] / before[0, 0]), temperature * np.log(after[0] / after[0, 0]), rtol=1e-3
    )


def test_of_few_rows_little_is_believed():
    classifier = _classifier()
    vectors = np.array([[[9.0, 0.0, 0.0]], [[0.0, 9.0, 0.0]]], np.float32)
    found = _probabilities(classifier, vectors)
    one = calibrate(classifier, found, np.array([0, 1], np.int32), np.ones(2, np.float32))
    assert one == pytest.approx(1.0, abs=0.05)
    assert calibrate(classifier, found[:0], np.empty(0, np.int32), np.ones(0, np.float32)) == pytest.approx(
        1.0
    )
