"""The numbers of a report, by hand and against scikit-learn."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics as oracle

from elmo_cli.errors import DataError
from elmo_cli.evaluation.metrics import confusion_matrix, evaluate, log_loss, precision_recall_f1
from elmo_cli.evaluation.report import ClassScores


def one_hot(predicted: list[int], num_classes: int) -> NDArray[np.float32]:
    return np.eye(num_classes, dtype=np.float32)[predicted]


def test_numbers_by_hand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.25, 0.75]], np.float32)
    report = evaluate(probabilities, np.array([0, 0, 1, 1], np.int32), label_names=["no", "yes"])
    assert report.accuracy == 0.75
    assert report.confusion.tolist() == [[1, 1], [0, 2]]
    assert report.confusion.dtype == np.int64
    assert report.labels == ("no", "yes")
    assert report.per_class["no"] == ClassScores(
        precision=1.0, recall=0.5, f1=pytest.approx(2 / 3), support=2
    )
    assert report.per_class["yes"] == ClassScores(pytest.approx(2 / 3), 1.0, pytest.approx(0.8), 2)
    assert report.macro_f1 == pytest.approx((2 / 3 + 0.8) / 2)
    assert report.weighted_f1 == pytest.approx((2 / 3 + 0.8) / 2)
    assert report.log_loss == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.75]).mean(), rel=1e-6)
    assert (report.num_rows, report.num_unseen_label_rows, report.unseen_labels) == (4, 0, {})


def test_unseen_labels_are_errors_everywhere_but_in_the_log_loss() -> None:
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.5, 0.5]], np.float32)
    report = evaluate(
        probabilities,
        np.array([0, -1, -1, -1], np.int32),
        label_names=["no", "yes"],
        true_labels=["not read", "maybe", "maybe", "how?"],
    )
    assert report.accuracy == 0.25
    assert report.labels == ("no", "yes", "how?", "maybe")
    assert report.confusion.tolist() == [[1, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 2, 0, 0]]
    assert report.num_unseen_label_rows == 3
    assert report.unseen_labels == {"how?": 1, "maybe": 2}
    assert report.per_class["maybe"] == ClassScores(0.0, 0.0, 0.0, 2)
    assert report.log_loss == pytest.approx(-np.log(0.9), rel=1e-6)
    assert report.macro_f1 == pytest.approx((2 / 3) / 4)


@pytest.mark.parametrize("seed", range(8))
def test_numbers_equal_those_of_scikit_learn(seed: int) -> None:
    generator = np.random.default_rng(seed)
    # Names out of order, few rows: some classes occur nowhere, some only as prediction.
    names = [f"label {letter}" for letter in "zbyacxd"][: 2 + seed % 6]
    num_classes, num_rows = len(names), 12 if seed % 2 else 80
    targets = generator.integers(0, max(2, num_classes - 2), num_rows).astype(np.int32)
    logits = generator.normal(size=(num_rows, num_classes)).astype(np.float32)
    logits[np.arange(num_rows), targets] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = [names[target] for target in targets]
    if seed >= 3:
        for row in (1, 4, 7):
            truth[row], targets[row] = ["new", "a new one"][row % 2], -1

    report = evaluate(probabilities, targets, label_names=names, true_labels=truth)

    predicted = [names[index] for index in probabilities.argmax(axis=1)]
    labels = list(report.labels)
    assert labels == names + sorted(set(truth) - set(names))
    assert report.accuracy == pytest.approx(oracle.accuracy_score(truth, predicted))
    for average, ours in (("macro", report.macro_f1), ("weighted", report.weighted_f1)):
        expected = oracle.f1_score(truth, predicted, average=average, zero_division=0)
        assert ours == pytest.approx(expected, abs=1e-12)
    known = targets >= 0
    expected = oracle.log_loss(targets[known], probabilities[known], labels=range(num_classes))
    assert report.log_loss == pytest.approx(expected, rel=1e-6)
    assert report.confusion.tolist() == oracle.confusion_matrix(truth, predicted, labels=labels).tolist()
    scores = oracle.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    for index, label in enumerate(labels):
        ours = report.per_class[label]
        expected = [column[index] for column in scores]
        assert [ours.precision, ours.recall, ours.f1, ours.support] == pytest.approx(expected, abs=1e-12)


def test_a_probability_of_zero_keeps_the_loss_finite_as_in_scikit_learn() -> None:
    probabilities = one_hot([0, 1, 1], 2)
    targets = np.array([0, 1, 0], np.int32)
    expected = oracle.log_loss(targets, probabilities, labels=[0, 1])
    assert log_loss(probabilities, targets) == pytest.approx(expected, rel=1e-6)


def test_scores_of_classes_with_nothing_to_count_are_zero() -> None:
    confusion = confusion_matrix(np.array([0, 0]), np.array([0, 1]), 3)
    assert confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]
    precision, recall, f1 = precision_recall_f1(confusion)
    assert precision.tolist() == [1, 0, 0]
    assert recall.tolist() == [0.5, 0, 0]
    assert f1.tolist() == [pytest.approx(2 / 3), 0, 0]


def test_arguments_stay_as_they_were() -> None:
    targets = np.array([0, -1], np.int64)
    probabilities = one_hot([0, 1], 2).astype(np.float64)
    evaluate(probabilities, targets, label_names=["a", "b"], true_labels=["a", "c"])
    assert targets.tolist() == [0, -1]
    assert probabilities.tolist() == [[1, 0], [0, 1]]


def test_without_rows_there_is_nothing_to_evaluate() -> None:
    with pytest.raises(DataError, match="no row to evaluate"):
        evaluate(np.zeros((0, 2), np.float32), np.zeros(0, np.int32), label_names=["a", "b"])


def test_a_table_of_unseen_labels_only_is_counted_and_asks_for_the_column(
    caplog: pytest.LogCaptureFixture,
) -> None:
    report = evaluate(one_hot([0, 1], 2), np.array([-1, -1]), label_names=["a", "b"], true_labels=["x", "y"])
    assert (report.accuracy, report.macro_f1, report.log_loss) == (0, 0, None)
    assert report.num_unseen_label_rows == 2
    assert caplog.messages == [
        "None of the 2 rows has a label that training saw. Found: x, y. Training saw: a, b. "
        "Is this the right label column?"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_names": ["a", "b", "c"]}, "need probabilities of shape"),
        ({"targets": np.array([0, 2])}, r"targets must be in \[-1, 2\)"),
        ({"targets": np.array([0, -2])}, r"targets must be in \[-1, 2\)"),
        ({"targets": np.array([0, -1])}, "true_labels is needed"),
        ({"true_labels": ["a"]}, "as many true labels"),
        ({"targets": np.array([0, -1]), "true_labels": ["a", "b"]}, "a label is given twice"),
        ({"label_names": ["a", "a"]}, "a label is given twice"),
        ({"probabilities": np.array([[0.5, 0.5], [np.nan, 0.5]])}, "must be numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {
        "probabilities": one_hot([0, 1], 2),
        "targets": np.array([0, 1]),
        "label_names": ["a", "b"],
        **changes,
    }
    with pytest.raises(ValueError, match=message):
        evaluate(arguments.pop("probabilities"), arguments.pop("targets"), **arguments)  # type: ignore[arg-type]
