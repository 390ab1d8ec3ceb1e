"""elmo-train: a table with texts and labels → a run directory."""

import logging
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from elmo_cli.cli import console, options
from elmo_cli.cli.startup import start_tensorflow
from elmo_cli.config_yaml import to_yaml

logger = logging.getLogger(__name__)


@click.command(
    cls=console.Command,
    examples=(
        "elmo-train train.csv -o runs/mine",
        "elmo-train train.csv --test test.csv -o runs/mine --elmo https://tfhub.dev/google/elmo/3",
        "elmo-train --config configs/bundled.yaml -o runs/bundled --set training.epochs=5",
        "elmo-train --config runs/mine/config.yaml -o runs/again",
    ),
)
@click.argument("train", required=False)
@options.section(
    "The run",
    options.option("-o", "--output", metavar="RUN", type=options.PATH, help_text="Run directory to create."),
    options.option("--force", is_flag=True, help_text="Replace an existing run."),
    options.option("--resume", is_flag=True, help_text="Continue a run that was killed or interrupted."),
    options.option(
        "--config",
        "config_path",
        metavar="YAML",
        type=options.PATH,
        help_text="Settings from a file; paths in it are relative to the current directory.",
    ),
    options.option(
        "--set",
        "assignments",
        metavar="KEY=VALUE",
        multiple=True,
        help_text="Set any key, dotted; wins over the file, options win over both.",
    ),
    options.option("--print-config", is_flag=True, help_text="Show the resolved configuration and stop."),
    options.setting("--seed", "seed", "Seed of every random choice.", metavar="N"),
)
@options.section(
    "Tables",
    options.setting(
        "--valid", "data.valid", "Validation table; without one a part of TRAIN is split off.", metavar="FILE"
    ),
    options.setting("--test", "data.test", "Table to evaluate once, after training.", metavar="FILE"),
    options.setting(
        "--validation-fraction",
        "data.validation_fraction",
        "Share of TRAIN to split off for validation.",
        metavar="X",
    ),
    *options.LABELS,
    *options.READING,
    options.setting(
        "--format",
        "data.format",
        "Format of the tables: csv, tsv, jsonl, parquet or lines; else told from it.",
        metavar="KIND",
    ),
)
@options.section(
    "Text and ELMo",
    options.setting(
        "--tokenizer",
        "text.tokenizer",
        "How texts are split into tokens; whitespace for texts that already are.",
    ),
    options.setting(
        "--max-length",
        "text.max_length",
        "Most tokens to keep of a text: a number, longest, or a percentile such as p99.",
        metavar="N",
    ),
    options.setting(
        "--elmo",
        "elmo.handle",
        "Where ELMo comes from: bundled, a public name (elmo-fetch --list), a URL or a path.",
        metavar="HANDLE",
    ),
    options.setting(
        "--trainable",
        "elmo.trainable",
        "What of ELMo learns: nothing, the mix of its layers, its upper layer, too, or all of it.",
    ),
    options.setting(
        "--fine-tuning-epochs",
        "fine_tuning.epochs",
        "Passes with --trainable top or all; or auto.",
        metavar="N",
    ),
    options.switch("--bundle-elmo", "elmo.bundle", "Keep a copy of the ELMo in the run."),
    options.switch(
        "--adapt", "elmo.adapt", "Adapt a native ELMo to the training texts first; the run then contains it."
    ),
    options.setting("--adapt-minutes", "elmo.adapt_minutes", "Most time for that.", metavar="N"),
)
@options.section(
    "Classifier and training",
    options.setting(
        "--pool",
        "classifier.pool",
        "How a text's token vectors become one: mean, max, attention, or several such as mean,max.",
        metavar="NAMES",
    ),
    options.setting(
        "--hidden",
        "classifier.hidden",
        "Widths of hidden layers, such as 256 or 256,64; none for a linear classifier; or auto.",
        metavar="N,N",
    ),
    options.setting(
        "--features",
        "classifier.features",
        "What decides: ELMo alone, or with it a linear classifier of words and their parts (TF-IDF).",
    ),
    options.setting("--dropout", "classifier.dropout", "Share of inputs dropped in training.", metavar="X"),
    options.setting(
        "--epochs", "training.epochs", "Largest number of passes over the training rows.", metavar="N"
    ),
    options.setting("--batch-size", "training.batch_size", "Rows per step.", metavar="N"),
    options.setting("--learning-rate", "training.learning_rate", "Adam's step size.", metavar="X"),
    options.setting(
        "--patience", "training.patience", "Epochs to wait for a better validation loss.", metavar="N"
    ),
    options.setting(
        "--class-weight",
        "training.class_weight",
        "How much classes count; balanced gives rare ones more weight.",
    ),
    options.setting("--device", "training.device", "Where to compute."),
    options.setting("--precision", "elmo.precision", options.PRECISION_HELP),
    *options.CACHE,
)
@options.messages
def main(
    train: str | None,
    output: Path | None,
    force: bool,
    resume: bool,
    config_path: Path | None,
    assignments: tuple[str, ...],
    print_config: bool,
    cache_bytes: int | None,
    no_cache: bool,
    quiet: bool,
    verbose: bool,
    **flags: Any,
) -> None:
    """Train a classifier on TRAIN, a table with texts and labels (CSV, TSV, JSONL, Parquet)."""
    console.start_messages(quiet=quiet, verbose=verbose)
    config = options.run_config(config_path, assignments, {**flags, "data__train": train})
    if print_config:
        click.echo(to_yaml(config), nl=False)
        return
    if output is None:
        raise click.UsageError("Say where to write the run: -o RUN.")
    if force and resume:
        raise click.UsageError("--force begins again and --resume goes on: give one of them.")

    from elmo_cli.workflows.new_run import NewRun
    from elmo_cli.workflows.training_tables import read_training_tables

    command = shlex.join(["elmo-train", *sys.argv[1:]])
    with NewRun(output, config, force=force, resume=resume, command=command) as run:
        with run.stage("reading"):
            tables = read_training_tables(config)
        start_tensorflow(config.training.device, verbose=verbose)
        from elmo_cli.workflows import train as workflow

        with options.open_cache(cache_bytes, no_cache) as cache:
            result = workflow.train(run, tables, cache)
    logger.info("Run: %s    next: elmo-predict %s FILE", output, shlex.quote(str(output)))
    if result.history.interrupted:
        click.echo("Interrupted; the best epoch so far was saved.", err=True)
        click.get_current_context().exit(console.INTERRUPTED)
