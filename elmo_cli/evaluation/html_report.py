"""Reports as one HTML file that can be sent to anyone."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from elmo_cli.counts import counted
from elmo_cli.evaluation.confused_pairs import confused_pairs
from elmo_cli.evaluation.html_page import Cell, page, picture, table, text
from elmo_cli.evaluation.report import Report
from elmo_cli.evaluation.text_table import decimal
from elmo_cli.files import write_text

MAX_PAIRS = 20
MAX_UNSEEN_NAMED = 50


def write_html_report(
    path: str | Path,
    *,
    title: str,
    facts: Mapping[str, str],
    reports: Mapping[str, Report],
    images: Mapping[str, str | Path],
) -> None:
    """Writes one HTML file that needs no other file, no script and no network.

    Its colours follow the light or dark scheme of the reader. Whatever labels, titles and facts hold is
    shown as text.

    Args:
        path: The HTML file; it is written in one move.
        title: Its heading.
        facts: What the reports are about, name to value: the ELMo, rows, classes, parameters, seed ...
            Of a long value 300 characters are shown.
        reports: The reports by the name of their table.
        images: PNG files. One with the name of a report is its confusion matrix and stands with it; others,
            such as ``Learning curve``, stand before the reports under their name.

    Raises:
        RunError: When a picture cannot be read or the file cannot be written.
        ValueError: When a picture is not PNG.
    """
    body: list[str] = []
    if facts:
        body.append(table("What was trained, and on what", [], facts.items(), css_class="facts"))
    if reports:
        body += [_overview(reports), _links(reports)]
    for name, image in images.items():
        if name not in reports:
            body += [f'<h2 dir="auto">{text(name)}</h2>', picture(image, alt=f"{name} of {title}")]
    for number, (name, report) in enumerate(reports.items(), start=1):
        body.append(f'<section id="table-{number}">')
        body += _section(name, report, images.get(name))
        body.append("</section>")
    write_text(path, page(title, body))


def _overview(reports: Mapping[str, Report]) -> str:
    """All reports in one table, for comparing."""
    head = ["table", "rows", "accuracy", "macro F1", "weighted F1", "log loss"]
    rows: list[list[str | Cell]] = []
    for name, report in reports.items():
        scores = (report.accuracy, report.macro_f1, report.weighted_f1, report.log_loss)
        rows.append([name, Cell(f"{report.num_rows:,}"), *(Cell(decimal(score)) for score in scores)])
    return table("Scores", head, rows)


def _links(reports: Mapping[str, Report]) -> str:
    """Where in the page each table is."""
    links = [f'<a href="#table-{number}">{text(name)}</a>' for number, name in enumerate(reports, start=1)]
    return f"<nav><p>More about {', '.join(links)}</p></nav>"


def _section(name: str, report: Report, confusion: str | Path | None) -> Iterator[str]:
    """Everything about one table."""
    yield f'<h2 dir="auto">Table: {text(name)}</h2>'
    yield _tiles(report)
    if report.num_unseen_label_rows:
        yield _unseen(report)
    yield _per_class(report)
    yield _pairs(report)
    if confusion is not None:
        num_classes = len(report.labels)
        yield picture(
            confusion,
            alt=f"Confusion matrix of {name}: {num_classes} true classes by {num_classes} predicted ones; "
            "the tables above hold its numbers.",
        )


def _tiles(report: Report) -> str:
    """The numbers over all rows, each with what it says."""
    # The labels of training come first; the others nobody could have answered.
    support = report.confusion.sum(axis=1)[: len(report.labels) - len(report.unseen_labels)]
    hits = int(np.trace(report.confusion))
    loss = "over the rows whose label training saw" if report.num_unseen_label_rows else "in nats"
    tiles = [
        (
            "accuracy",
            report.accuracy,
            f"{hits:,} of {counted(report.num_rows, 'row', form=',')}; always answering the most frequent "
            f"class would give {support.max() / report.num_rows:.4f}",
        ),
        ("macro F1", report.macro_f1, "every class counts the same"),
        ("weighted F1", report.weighted_f1, "every row counts the same"),
        ("log loss", report.log_loss, f"{loss}; lower is better"),
    ]
    cells = [
        f'<div><dt>{name}</dt><dd class="value">{decimal(value)}</dd><dd class="soft">{why}</dd></div>'
        for name, value, why in tiles
    ]
    return "\n".join(['<dl class="tiles">', *cells, "</dl>"])


def _unseen(report: Report) -> str:
    """The labels training never saw, the most frequent first."""
    frequent = sorted(report.unseen_labels.items(), key=lambda item: (-item[1], item[0]))
    count, left_out = report.num_unseen_label_rows, len(frequent) - MAX_UNSEEN_NAMED
    what = (
        "1 row has a label that training never saw; it counts as an error."
        if count == 1
        else f"{count:,} rows have labels that training never saw; they count as errors."
    )
    more = f" The {MAX_UNSEEN_NAMED} most frequent of {len(frequent):,}:" if left_out > 0 else ""
    rows: list[list[str | Cell]] = [
        [label, Cell(f"{num_rows:,}")] for label, num_rows in frequent[:MAX_UNSEEN_NAMED]
    ]
    return table(f"{what}{more}", ["unseen label", "rows"], rows)


def _per_class(report: Report) -> str:
    """Scores of the classes of training, the weakest first; those without a row at the end."""
    known = [item for item in report.per_class.items() if item[0] not in report.unseen_labels]
    known.sort(key=lambda item: (item[1].support == 0, item[1].f1, -item[1].support))
    rows: list[list[str | Cell]] = [
        [
            label,
            *(Cell(f"{score:.3f}", score) for score in (one.precision, one.recall, one.f1)),
            Cell(f"{one.support:,}"),
        ]
        for label, one in known
    ]
    caption = f"Scores of the {counted(len(known), 'class', 'classes', form=',')}, the lowest F1 first"
    return table(caption, ["class", "precision", "recall", "F1", "rows"], rows)


def _pairs(report: Report) -> str:
    """The most frequent confusions."""
    pairs = confused_pairs(report.confusion, max_pairs=MAX_PAIRS)
    if not pairs:
        return "<p>No two classes were confused: every row is right.</p>"
    num_pairs = np.count_nonzero(report.confusion) - np.count_nonzero(np.diag(report.confusion))
    rows: list[list[str | Cell]] = [
        [
            report.labels[pair.true],
            report.labels[pair.predicted],
            Cell(f"{pair.num_rows:,}"),
            Cell(f"{pair.share:.1%}", pair.share),
        ]
        for pair in pairs
    ]
    caption = f"Most confused pairs ({len(pairs)} of {num_pairs:,})"
    return table(caption, ["true label", "predicted as", "rows", "of this label"], rows)
