"""elmo-eval: a run and a table with labels → metrics."""

from pathlib import Path
from typing import Any

import click

from elmo_cli.cli import console, options


@click.command(cls=console.Command)
@click.argument("run", type=options.PATH)
@click.argument("file", type=options.PATH)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout, and nothing else there."
)
@options.labels
@options.reading
@options.setting("--format", "data.format", "Format of FILE; told from name and content.", type=options.KINDS)
@options.device
@options.messages
def main(run: Path, file: Path, as_json: bool, quiet: bool, verbose: bool, device: Any, **flags: Any) -> None:
    """Score RUN on FILE, a table with texts and labels.

    Prints accuracy, F1, log loss, per-class scores and the confusion matrix; writes them to
    metrics.json in the run, with a picture of the confusion matrix in plots/.
    """
    console.start_messages(quiet=quiet or as_json, verbose=verbose)
    from elmo_cli.workflows.run_directory import RunDirectory

    directory = RunDirectory(run)
    directory.check_usable()
    data = options.data_config(flags, directory.read_config().data, file)
    with console.tensorflow_quiet(verbose=verbose):
        from elmo_cli.workflows.evaluate import evaluate_run
        from elmo_cli.workflows.predict import Predictor
    report = evaluate_run(Predictor(run, device=device), file, data)
    click.echo(report.to_json() if as_json else report.to_text(), nl=not as_json)
