"""elmo-train: a table with texts and labels → a run directory."""

import sys
from pathlib import Path
from typing import Any

import click

from elmo_cli.cli import console, options
from elmo_cli.config import to_yaml

_RUN = options.all_of(
    options.setting("--valid", "data.valid", "Validation table; without one a part of TRAIN is split off."),
    options.setting("--test", "data.test", "Table to evaluate once, after training."),
    options.setting(
        "--validation-fraction", "data.validation_fraction", "Share of TRAIN to split off. [0.1]"
    ),
    options.labels,
    options.reading,
    options.setting(
        "--format", "data.format", "Format of the tables; told from name and content.", type=options.KINDS
    ),
    options.setting(
        "--tokenizer", "text.tokenizer", "treebank, or whitespace for tokenised text. [treebank]"
    ),
    options.setting(
        "--max-length", "text.max_length", "Most tokens: a number, longest, or a percentile. [p99]"
    ),
    options.setting("--elmo", "elmo.handle", "Where ELMo comes from: bundled, a URL, a path. [bundled]"),
    options.setting("--trainable", "elmo.trainable", "none, or mix to learn the mix of layers. [mix]"),
    options.setting("--pool", "classifier.pool", "mean, max or mean,max of a text's tokens. [mean,max]"),
    options.setting(
        "--hidden", "classifier.hidden", "Widths of hidden layers, such as 256 or 256,64. [none]"
    ),
    options.setting("--dropout", "classifier.dropout", "Share of inputs dropped in training. [0.5]"),
    options.setting("--epochs", "training.epochs", "Most passes over the training rows. [50]"),
    options.setting("--batch-size", "training.batch_size", "Rows per step. [32]"),
    options.setting("--learning-rate", "training.learning_rate", "Adam's step size. [0.001]"),
    options.setting("--patience", "training.patience", "Epochs to wait for a better validation loss. [5]"),
    options.setting("--class-weight", "training.class_weight", "none, or balanced for rare classes. [none]"),
    options.setting("--device", "training.device", "auto, cpu or gpu. [auto]"),
    options.setting("--seed", "seed", "Of every random choice. [13]"),
)


@click.command(cls=console.Command)
@click.argument("train", required=False)
@click.option("-o", "--output", metavar="RUN", type=options.PATH, help="Run directory to make.")
@click.option("--force", is_flag=True, help="Replace a run that is there.")
@click.option("--config", "config_path", metavar="YAML", type=options.PATH, help="Read settings from a file.")
@click.option("--set", "assignments", metavar="KEY=VALUE", multiple=True, help="Override any key, dotted.")
@click.option("--print-config", is_flag=True, help="Show the resolved configuration and stop.")
@_RUN
@options.messages
def main(
    train: str | None,
    output: Path | None,
    force: bool,
    config_path: Path | None,
    assignments: tuple[str, ...],
    print_config: bool,
    quiet: bool,
    verbose: bool,
    **flags: Any,
) -> None:
    r"""Train a classifier on TRAIN, a table with texts and labels (CSV, TSV, JSONL, Parquet).

    \b
    elmo-train train.csv -o runs/mine
    elmo-train train.csv --test test.csv -o runs/mine --elmo https://tfhub.dev/google/elmo/3
    """
    console.start_messages(quiet=quiet, verbose=verbose)
    config = options.run_config(config_path, assignments, {**flags, "data__train": train})
    if print_config:
        click.echo(to_yaml(config), nl=False)
        return
    if output is None:
        raise click.UsageError("Say where to write the run: -o RUN.")

    from elmo_cli.workflows.run_directory import check_free
    from elmo_cli.workflows.training_tables import read_training_tables

    check_free(output, force=force)
    tables = read_training_tables(config)
    with console.tensorflow_quiet(verbose=verbose):
        from elmo_cli.workflows import train as workflow
    result = workflow.train(config, tables, output, force=force, command=" ".join(sys.argv))
    for name, report in result.reports.items():
        click.echo(f"{name}: accuracy {report.accuracy:.4f}, macro F1 {report.macro_f1:.4f}", err=True)
    click.echo(f"Run: {output}    next: elmo-predict {output} FILE", err=True)
    if result.history.interrupted:
        click.echo("Interrupted; the best epoch so far was saved.", err=True)
        raise SystemExit(console.INTERRUPTED)
