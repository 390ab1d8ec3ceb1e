"""Report: what an evaluation found, as JSON and as tables for a terminal."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.counts import counted
from elmo_cli.evaluation.confused_pairs import confused_pairs
from elmo_cli.evaluation.text_table import decimal, shorten, table, width_of

MAX_MATRIX_CLASSES = 20  # more are not read as a matrix on a terminal
MAX_PAIRS = 20
MAX_UNSEEN_NAMED = 10
MAX_NAME = 32


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class.

    Args:
        precision: Share of the rows predicted as this class that are of it, in [0, 1].
        recall: Share of the rows of this class that were predicted so, in [0, 1].
        f1: Harmonic mean of both, in [0, 1]; each is 0 where there is nothing to count.
        support: Number of rows of this class.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class Report:
    """What an evaluation found. K classes: those of training, then those seen only here.

    Rows with a label that training never saw count as errors everywhere but in the log loss.

    Args:
        accuracy: Share of rows predicted right, in [0, 1].
        macro_f1: Mean F1 of the classes that occur as true or predicted label, in [0, 1].
        weighted_f1: Mean F1 of the classes, weighted by their rows, in [0, 1].
        log_loss: Mean negative log probability of the true class, in nats, over the rows whose label training
            saw; None when there is no such row.
        num_rows: Number of rows, N.
        num_unseen_label_rows: How many of them have a label that training never saw.
        unseen_labels: Such labels and their numbers of rows.
        per_class: Label name to scores, in the order of labels.
        confusion: int64 (K, K), rows true, columns predicted, in the order of labels.
        labels: The K label names: those of training by class id, then the unseen ones, sorted.
    """

    accuracy: float
    macro_f1: float
    weighted_f1: float
    log_loss: float | None
    num_rows: int
    num_unseen_label_rows: int
    unseen_labels: dict[str, int]
    per_class: dict[str, ClassScores]
    confusion: NDArray[np.int64]
    labels: tuple[str, ...]

    def to_json_dict(self) -> dict[str, Any]:
        """Returns everything as what JSON knows: numbers, strings, lists, dicts and None."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        fields["per_class"] = {label: asdict(scores) for label, scores in self.per_class.items()}
        return {**fields, "confusion": self.confusion.tolist(), "labels": list(self.labels)}

    def to_json(self) -> str:
        """Returns one JSON object, indented, with a line end."""
        return json.dumps(self.to_json_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_text(self, *, columns: int = 100) -> str:
        """Returns tables for a terminal: summary, scores per class, confusion matrix.

        Above 20 classes the most confused pairs stand in place of the matrix.

        Args:
            columns: Width of the terminal in characters; a wider matrix gets numbers for column names.
        """
        parts = [self._summary_text(), self._per_class_text(), self._confusion_text(columns)]
        return "\n\n".join(parts) + "\n"

    def _summary_text(self) -> str:
        """The numbers over all rows, and what is to be known about them."""
        hits = int(np.trace(self.confusion))
        over = "over the rows whose label training saw" if self.num_unseen_label_rows else "in nats"
        rows = [
            ["accuracy", f"{self.accuracy:.4f}", f"{hits} of {counted(self.num_rows, 'row')}"],
            ["macro F1", f"{self.macro_f1:.4f}", "every class counts the same"],
            ["weighted F1", f"{self.weighted_f1:.4f}", "every row counts the same"],
            ["log loss", decimal(self.log_loss), over],
        ]
        lines = table(rows, align="lrl")
        if self.num_unseen_label_rows:
            lines += ["", self._unseen_text()]
        return "\n".join(lines)

    def _unseen_text(self) -> str:
        """One sentence about the labels training never saw, the most frequent first."""
        frequent = sorted(self.unseen_labels.items(), key=lambda item: (-item[1], item[0]))
        named = [f"{shorten(name, MAX_NAME)} ({rows})" for name, rows in frequent[:MAX_UNSEEN_NAMED]]
        if len(frequent) > len(named):
            named.append(f"and {len(frequent) - len(named)} more")
        count = self.num_unseen_label_rows
        rows = "1 row has a label" if count == 1 else f"{count} rows have labels"
        return f"{rows} that training never saw, counted as errors: {', '.join(named)}."

    def _per_class_text(self) -> str:
        """Precision, recall, F1 and support, one line a class; of many unseen labels only their number."""
        left_out = self.unseen_labels if len(self.unseen_labels) > MAX_UNSEEN_NAMED else {}
        rows = [["class", "precision", "recall", "F1", "support"]]
        for label, one in self.per_class.items():
            if label not in left_out:
                scores = [f"{score:.3f}" for score in (one.precision, one.recall, one.f1)]
                rows.append([shorten(label, MAX_NAME), *scores, str(one.support)])
        lines = table(rows, align="lrrrr")
        if left_out:
            lines.append(f"and {len(left_out)} labels that training never saw, with F1 0")
        return "\n".join(lines)

    def _confusion_text(self, columns: int) -> str:
        """The matrix, with names or numbers over its columns; or the most confused pairs."""
        if len(self.labels) > MAX_MATRIX_CLASSES:
            return self._pairs_text()
        names = [shorten(label, MAX_NAME) for label in self.labels]
        counts = [[str(count) for count in row] for row in self.confusion.tolist()]
        lines = table(
            [["", *names], *([name, *row] for name, row in zip(names, counts, strict=True))], align="lr"
        )
        if width_of(lines[0]) > columns:
            numbers = [str(number) for number in range(1, len(names) + 1)]
            heads = [[number, name] for number, name in zip(numbers, names, strict=True)]
            rows = [[*head, *row] for head, row in zip(heads, counts, strict=True)]
            lines = table([["", "", *numbers], *rows], align="rlr")
        return "\n".join(["confusion matrix (rows: true label, columns: predicted)", *lines])

    def _pairs_text(self) -> str:
        """The pairs of classes that were confused most often."""
        pairs = confused_pairs(self.confusion, max_pairs=MAX_PAIRS)
        if not pairs:
            return f"most confused pairs of {len(self.labels)} classes: none, every row is right"
        rows = [
            [
                shorten(self.labels[pair.true], MAX_NAME),
                shorten(self.labels[pair.predicted], MAX_NAME),
                str(pair.num_rows),
                f"{pair.share:.0%}",
            ]
            for pair in pairs
        ]
        num_pairs = np.count_nonzero(self.confusion) - np.count_nonzero(np.diag(self.confusion))
        title = f"most confused pairs ({len(pairs)} of {num_pairs})"
        why = f"a matrix of {len(self.labels)} classes is too wide here; the JSON and the plot have it"
        head = ["true label", "predicted", "rows", "of this label"]
        return "\n".join([f"{title}; {why}", *table([head, *rows], align="llrr")])
