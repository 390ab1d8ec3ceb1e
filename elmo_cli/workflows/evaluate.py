"""A run and a labelled table → how right its predictions are."""

from elmo_cli.evaluation.metrics import evaluate
from elmo_cli.evaluation.plots import plot_confusion
from elmo_cli.evaluation.report import Report
from elmo_cli.workflows.predict import Predictor
from elmo_cli.workflows.run_directory import RunDirectory
from elmo_cli.workflows.training_tables import LabelledTable


def evaluate_run(predictor: Predictor, labelled: LabelledTable) -> Report:
    """Scores a run on a labelled table.

    Args:
        predictor: The loaded run.
        labelled: From `read_labelled_table`, with the run's preprocessor.

    Returns:
        The report. Labels that training never saw are counted as errors.

    Raises:
        DataError: If no row has a label that training saw.
    """
    return evaluate(
        predictor.probabilities(labelled.examples),
        labelled.targets,
        label_names=predictor.labels.names,
        true_labels=labelled.labels,
    )


def write_report(run: RunDirectory, report: Report, *, metrics_name: str, plot_name: str) -> None:
    """Adds a report to metrics.json of a run, and a picture of its confusion matrix to plots/.

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
