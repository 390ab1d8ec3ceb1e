"""A run and a labelled table → how right its predictions are."""

from dataclasses import replace
from pathlib import Path

from elmo_cli.config import DataConfig
from elmo_cli.evaluation.metrics import evaluate
from elmo_cli.evaluation.plots import plot_confusion
from elmo_cli.evaluation.report import Report
from elmo_cli.text.cells import usable_rows
from elmo_cli.text.columns import resolve_column
from elmo_cli.text.tables import read_table
from elmo_cli.workflows.predict import Predictor
from elmo_cli.workflows.training_tables import labelled_table


def evaluate_run(predictor: Predictor, path: Path, data: DataConfig) -> Report:
    """Scores a run on a labelled table and writes metrics.json and the confusion matrix into the run.

    Args:
        predictor: The loaded run.
        path: The table.
        data: How to read it; columns that are not given are those of the training.

    Returns:
        The report. Labels that training never saw are counted as errors.

    Raises:
        DataError: If the table cannot be read, or a text column, label column or label is missing.
        RunError: If the run directory cannot be written.
    """
    preprocessor = predictor.preprocessor
    columns = preprocessor.text_column, preprocessor.label_column
    table = read_table(path, data, expected_columns=columns)
    text_column = resolve_column(table, data.text_column or preprocessor.text_column, "text")
    label_column = resolve_column(table, data.label_column or preprocessor.label_column, "label")
    table = usable_rows(
        table, text_column=text_column if data.drop_empty else None, label_column=label_column, data=data
    )
    labelled = labelled_table(
        table, replace(preprocessor, text_column=text_column, label_column=label_column)
    )
    report = evaluate(
        predictor.probabilities(labelled.examples),
        labelled.targets,
        label_names=preprocessor.label_set.names,
        true_labels=labelled.labels,
    )
    predictor.run.write_metrics(path.name, report.to_json_dict())
    plot_confusion(report, predictor.run.plots / f"confusion_{path.stem}.png")
    return report
