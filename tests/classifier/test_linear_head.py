"""A linear head is solved exactly."""

import numpy as np
import pytest

from elmo_cli.classifier.folds import folds
from elmo_cli.classifier.linear_head import cross_fitted, solve_linear_head
from elmo_cli.classifier.pooled_classifier import PooledClassifier
from elmo_cli.training.arrays import LabelledArrays


def problem(num_classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of 30 distinct texts, and 40 rows of them with targets."""
    random = np.random.default_rng(0)
    rows = random.integers(0, 30, 40)
    return random.normal(size=(30, 3, 4)).astype(np.float32), (rows % num_classes).astype(np.int32), rows


def gradient(classifier: PooledClassifier, vectors: np.ndarray, targets: np.ndarray) -> list[np.ndarray]:
    """Of mean cross-entropy and penalty by the kernel and the bias of the head."""
    logits = np.asarray(classifier(vectors), np.float64)
    error = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) - np.eye(logits.shape[1])[targets]
    kernel = np.asarray(classifier.head.logits_layer.kernel)
    inputs = np.asarray(classifier.head_inputs(vectors))
    return [inputs.T @ error / len(targets) + 2 * classifier.l2 * kernel, error.mean(axis=0)]


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("joined", [True, False])
def test_no_small_step_is_better(num_classes: int, joined: bool) -> None:
    vectors, targets, rows = problem(num_classes)
    classifier = PooledClassifier(num_classes, dropout=0, l2=0.05, joined=joined)
    classifier.adapt(vectors, rows)
    before = np.abs(gradient(classifier, vectors[rows], targets)[0]).max()
    halves = [LabelledArrays(vectors, targets[half], rows[half]) for half in (slice(15), slice(15, None))]
    solve_linear_head(classifier, halves)
    kernel, bias = gradient(classifier, vectors[rows], targets)
    assert np.abs(kernel).max() < 0.02 * before
    assert np.abs(bias).max() < 1e-3


def test_rare_classes_can_count_more() -> None:
    vectors, _, rows = problem(2)
    targets = (rows == rows[0]).astype(np.int32)
    found = []
    for balanced in (False, True):
        classifier = PooledClassifier(2, dropout=0, l2=1.0, joined=True)
        classifier.adapt(vectors, rows)
        solve_linear_head(classifier, [LabelledArrays(vectors, targets, rows)], balanced=balanced)
        found.append(np.asarray(classifier(vectors))[:, 1].mean())
    assert found[0] < found[1]


def test_tokens_and_a_class_without_rows() -> None:
    random = np.random.default_rng(0)
    tokens = random.normal(size=(12, 3, 5, 4)).astype(np.float32)
    classifier = PooledClassifier(4, poolings=("attention", "mean"), dropout=0, l2=0.1)
    classifier.adapt(tokens)
    solve_linear_head(classifier, [LabelledArrays(tokens, np.arange(12, dtype=np.int32) % 3)])
    kernel = np.asarray(classifier.head.logits_layer.kernel)
    assert np.abs(kernel[:, :3]).max() > 0
    np.testing.assert_array_equal(kernel[:, 3], 0)


@pytest.mark.parametrize("hidden", [(), (4,)])
def test_without_a_penalty_nothing_happens(hidden: tuple[int, ...]) -> None:
    vectors, targets, rows = problem(3)
    classifier = PooledClassifier(3, hidden=hidden)
    classifier.adapt(vectors, rows)
    before = classifier.get_weights()
    solve_linear_head(classifier, [LabelledArrays(vectors, targets, rows)])
    for one, other in zip(before, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_cross_fitted_rows_are_judged_by_heads_solved_on_the_other_folds(num_classes: int) -> None:
    random = np.random.default_rng(2)
    targets = (np.arange(41) % num_classes).astype(np.int32)
    targets[-1] = num_classes  # a class of one row
    vectors = random.normal(size=(41, 3, 4)).astype(np.float32)
    vectors[:, 0, 0] += 3 * targets
    classifier = PooledClassifier(num_classes + 1, dropout=0, l2=0.01, joined=True)
    classifier.adapt(vectors)
    part = LabelledArrays(vectors, targets)
    before = [weight.copy() for weight in classifier.get_weights()]
    found = cross_fitted(classifier, part, 5)
    for weight, after in zip(before, classifier.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, after)
    assert np.isnan(found[-1]).all()
    np.testing.assert_allclose(found[:-1].sum(axis=1), 1, rtol=1e-5)

    # One fold by hand: the same penalty on weights beside a loss summed over the rows that are left.
    learned, held_out = next(folds(targets, 5))
    classifier.l2 *= len(targets) / len(learned)
    solve_linear_head(classifier, [LabelledArrays(vectors, targets[learned], learned)])
    logits = np.asarray(classifier(vectors[held_out]), np.float64)
    known = np.unique(targets[learned])
    expected = np.exp(logits[:, known]) / np.exp(logits[:, known]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[held_out][:, known], expected, atol=1e-4)
