"""A run and a labelled table → how right its predictions are."""

import logging
from collections.abc import Callable
from pathlib import Path

from elmo_cli.evaluation.metrics import evaluate
from elmo_cli.evaluation.plots import plot_confusion
from elmo_cli.evaluation.report import Report
from elmo_cli.workflows.predict import Predictor
from elmo_cli.workflows.run_directory import RunDirectory
from elmo_cli.workflows.training_tables import LabelledTable

logger = logging.getLogger(__name__)


def evaluate_file(
    predictor: Predictor, labelled: LabelledTable, file: Path, *, show: Callable[[Report], object]
) -> Report:
    """Scores a run on a labelled table, shows the report and adds it to the run.

    Neither the showing nor the writing prevents the other one, should it fail. The report on a table of which
    no row has a label that training saw is shown only.

    Args:
        predictor: The loaded run.
        labelled: From `read_labelled_table`, with the run's preprocessor.
        file: Where the table was read; only an earlier report of this very file is replaced in the run.
        show: What shows the report to the user.

    Returns:
        The report.

    Raises:
        RunError: If the run is damaged, or its directory cannot be written.
    """
    run = predictor.run
    report = evaluate_run(predictor, labelled)
    if not (labelled.targets >= 0).any():  # another column than that of the labels, most likely
        show(report)
        logger.warning("Nothing was added to the reports of %s", run.path)
        return report
    try:
        show(report)
    finally:
        name = run.add_evaluation(file, report.to_json_dict())
        picture = run.plots / f"confusion_{name}.png"
        plot_confusion(report, picture)
        logger.info('The report is "%s" in %s; the confusion matrix is %s', name, run.metrics, picture)
    return report


def evaluate_run(predictor: Predictor, labelled: LabelledTable) -> Report:
    """Scores a run on a labelled table.

    Args:
        predictor: The loaded run.
        labelled: From `read_labelled_table`, with the run's preprocessor.

    Returns:
        The report. Labels that training never saw are counted as errors.
    """
    return evaluate(
        predictor.probabilities(labelled.examples),
        labelled.targets,
        label_names=predictor.labels.names,
        true_labels=labelled.labels,
    )


def write_report(run: RunDirectory, report: Report, *, metrics_name: str, plot_name: str) -> None:
    """Adds a report of the training to metrics.json, and a picture of its confusion matrix to plots/.

    Args:
        run: The run directory.
        report: What was found.
        metrics_name: Its key in metrics.json; a report of that name is replaced.
        plot_name: The picture is ``plots/confusion_NAME.png``.

    Raises:
        RunError: If the run directory cannot be written.
    """
    run.write_metrics(metrics_name, report.to_json_dict())
    plot_confusion(report, run.plots / f"confusion_{plot_name}.png")
