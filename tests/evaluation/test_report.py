"""Reports as JSON and as text."""

import json

import numpy as np

from elmo_cli.evaluation.metrics import evaluate
from elmo_cli.evaluation.report import Report
from elmo_cli.evaluation.text_table import width_of


def report_of(
    truth: list[int], predicted: list[int], names: list[str], true_labels: list[str] | None = None
) -> Report:
    probabilities = np.full((len(predicted), len(names)), 0.1 / max(1, len(names) - 1), np.float32)
    probabilities[np.arange(len(predicted)), predicted] = 0.9
    return evaluate(probabilities, np.array(truth, np.int32), label_names=names, true_labels=true_labels)


def test_json_has_the_promised_keys_and_plain_values() -> None:
    report = report_of([0, 1, -1], [0, 0, 1], ["no", "yes"], ["no", "yes", "人"])
    text = report.to_json()
    assert "人" in text
    assert text.endswith("}\n")
    content = json.loads(text)
    assert content == report.to_json_dict()
    assert list(content) == [
        "accuracy",
        "macro_f1",
        "weighted_f1",
        "log_loss",
        "num_rows",
        "num_unseen_label_rows",
        "unseen_labels",
        "per_class",
        "confusion",
        "labels",
    ]
    assert content["num_rows"] == 3
    assert content["labels"] == ["no", "yes", "人"]
    assert content["unseen_labels"] == {"人": 1}
    assert content["confusion"] == [[1, 0, 0], [1, 0, 0], [0, 1, 0]]
    assert content["per_class"]["no"] == {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 1}


def test_text_shows_summary_classes_and_matrix() -> None:
    assert report_of([0, 0, 1, 1], [0, 1, 1, 1], ["no", "yes"]).to_text() == (
        """\
accuracy     0.7500  3 of 4 rows
macro F1     0.7333  every class counts the same
weighted F1  0.7333  every row counts the same
log loss     0.6547  in nats

class  precision  recall     F1  support
no         1.000   0.500  0.667        2
yes        0.667   1.000  0.800        2

confusion matrix (rows: true label, columns: predicted)
     no  yes
no    1    1
yes   0    2
"""
    )


def test_text_tells_about_unseen_labels() -> None:
    text = report_of([0, 1, -1, -1], [0, 1, 1, 0], ["no", "yes"], ["", "", "x", "y"]).to_text()
    assert "\n2 rows have labels that training never saw, counted as errors: x (1), y (1).\n" in text
    assert "log loss     0.1054  over the rows whose label training saw\n" in text
    one = report_of([0, -1], [0, 1], ["no", "yes"], ["", "x"]).to_text()
    assert "\n1 row has a label that training never saw, counted as errors: x (1).\n" in one


def test_many_unseen_labels_do_not_flood_the_terminal() -> None:
    labels = [f"free text {number:03d}" for number in range(50)]
    text = report_of([0, *[-1] * 50], [0] * 51, ["no", "yes"], ["no", *labels]).to_text()
    assert "free text 009 (1), and 40 more." in text
    assert "\nand 50 labels that training never saw, with F1 0\n" in text
    assert "free text 030" not in text


def test_wide_names_stand_in_line_and_odd_ones_stay_on_it() -> None:
    names = ["人間", "a\nb", "cafe\u0301", "x" * 60]
    text = report_of([0, 1, 2, 3], [0, 1, 2, 3], names).to_text()
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("class"))
    assert {width_of(line) for line in lines[start : start + 5]} == {width_of(lines[start])}
    assert "a\\nb" in text
    assert "x" * 31 + "…" in text
    assert "x" * 32 not in text


def test_a_matrix_wider_than_the_terminal_gets_numbers_over_its_columns() -> None:
    names = [f"a rather long name {letter}" for letter in "abcdefgh"]
    text = report_of(list(range(8)), list(range(8)), names).to_text(columns=80)
    assert max(map(len, text.splitlines())) <= 80
    assert f"\n{' ' * 25}1  2  3  4  5  6  7  8\n" in text
    assert "\n2  a rather long name b  0  1  0  0  0  0  0  0\n" in text


def test_above_twenty_classes_the_most_confused_pairs_are_shown() -> None:
    names = [f"class {number}" for number in range(21)]
    truth, predicted = [*range(21), 3, 3, 3, 5], [*range(21), 4, 4, 7, 6]
    text = report_of(truth, predicted, names).to_text()
    assert text.endswith(
        """
most confused pairs (3 of 3); a matrix of 21 classes is too wide here; the JSON and the plot have it
true label  predicted  rows  of this label
class 3     class 4       2            50%
class 3     class 7       1            25%
class 5     class 6       1            50%
"""
    )
    text = report_of(list(range(21)), list(range(21)), names).to_text()
    assert text.endswith("\nmost confused pairs of 21 classes: none, every row is right\n")


def test_without_a_label_that_training_saw_there_is_no_log_loss() -> None:
    report = report_of([-1, -1], [0, 1], ["no", "yes"], ["x", "y"])
    assert json.loads(report.to_json())["log_loss"] is None
    line = next(line for line in report.to_text().splitlines() if line.startswith("log loss"))
    assert line.split()[2] == "-"
