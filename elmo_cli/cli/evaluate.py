"""elmo-eval: a run and a table with labels → metrics."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elmo_cli.cli import console, options
from elmo_cli.cli.startup import start_tensorflow

if TYPE_CHECKING:
    from elmo_cli.evaluation.report import Report


@click.command(
    cls=console.Command,
    examples=("elmo-eval runs/mine test.csv", "elmo-eval runs/mine test.csv --json | jq .accuracy"),
)
@click.argument("run", type=options.PATH)
@click.argument("file", type=options.PATH)
@options.section(
    "Output",
    options.option(
        "--json",
        "as_json",
        is_flag=True,
        help_text="Print one JSON object on stdout, and nothing else there.",
    ),
)
@options.section(
    "Table",
    *options.LABELS,
    *options.READING,
    options.setting(
        "--format",
        "data.format",
        "Format of FILE: csv, tsv, jsonl, parquet or lines; else told from it.",
        metavar="KIND",
    ),
)
@options.section("Computing", options.ELMO, options.DEVICE, options.PRECISION, *options.CACHE)
@options.messages
def main(
    run: Path,
    file: Path,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    device: Any,
    elmo: str | None,
    precision: Any,
    cache_bytes: int | None,
    no_cache: bool,
    **flags: Any,
) -> None:
    """Score RUN on FILE, a table with texts and labels.

    Prints accuracy, F1, log loss, per-class scores and the confusion matrix; writes them to
    metrics.json in the run under the name of FILE, with a picture of the confusion matrix in plots/.
    Reports of the training and of other files stay.
    """
    console.start_messages(quiet=quiet or as_json, verbose=verbose)
    from elmo_cli.workflows.run_directory import RunDirectory
    from elmo_cli.workflows.training_tables import read_labelled_table

    directory = RunDirectory(run)
    directory.check_usable()
    data = options.data_config(flags, directory.read_config().data, file)
    labelled = read_labelled_table(file, data, directory.read_preprocessor())

    start_tensorflow(device, verbose=verbose)
    from elmo_cli.workflows.evaluate import evaluate_file
    from elmo_cli.workflows.predict import Predictor

    def show(report: "Report") -> None:
        click.echo(report.to_json() if as_json else report.to_text(), nl=not as_json)

    with options.open_cache(cache_bytes, no_cache) as cache:
        predictor = Predictor(run, elmo=elmo, precision=precision, cache=cache)
        evaluate_file(predictor, labelled, file, show=show)
