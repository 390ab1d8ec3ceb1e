"""elmo-export: a run or an ELMo → files for a model server, TensorFlow Hub or AllenNLP."""

from pathlib import Path
from typing import Any

import click

from elmo_cli.cli import console, options
from elmo_cli.cli.startup import start_tensorflow
from elmo_cli.errors import ConfigError


@click.command(
    cls=console.Command,
    examples=(
        "elmo-export runs/mine --to serving -o models/mine/1",
        "elmo-export runs/mine --to hub -o my-module",
        "elmo-export https://tfhub.dev/google/elmo/3 --to hdf5 -o google-elmo",
    ),
)
@click.argument("origin", metavar="RUN|HANDLE")
@options.section(
    "Output",
    options.option(
        "--to",
        "form",
        type=click.Choice(["serving", "hub", "hdf5"]),
        required=True,
        help_text="serving: RUN as a SavedModel for model servers; hub: its ELMo, or that of HANDLE, as a "
        "TensorFlow Hub module; hdf5: the same as options.json and weights.hdf5.",
    ),
    options.option(
        "-o",
        "--output",
        metavar="DIR",
        type=options.PATH,
        required=True,
        help_text="Directory to make; it must not exist, or be empty.",
    ),
)
@options.section("Input", options.ELMO)
@options.messages
def main(origin: str, form: Any, output: Path, elmo: str | None, quiet: bool, verbose: bool) -> None:
    """Write a trained RUN, or the ELMo of a RUN or HANDLE, in a format that other programs read.

    serving: raw texts go in, labels and probabilities come out; everything is inside, no Python is
    needed. hub: signatures and outputs of google/elmo. hdf5: the layout of AllenNLP. Those two take
    the ELMo as the run has it, adapted or fine-tuned; hub with the layer mix that the run learned.
    """
    console.start_messages(quiet=quiet, verbose=verbose)
    from elmo_cli.elmo.source import resolve
    from elmo_cli.workflows.new_directory import check_new_directory
    from elmo_cli.workflows.run_directory import RunDirectory

    run = RunDirectory(Path(origin))
    if form == "serving" and not run.is_run:
        raise ConfigError(
            f"--to serving writes a trained classifier, so it needs a run directory, and {origin} is none. "
            "Train one with elmo-train; --to hub and --to hdf5 write an ELMo alone."
        )
    if run.is_run:
        run.check_usable()
        run.read_config()
        run.read_preprocessor()
    elif elmo is not None:
        raise ConfigError(f"--elmo says where the ELMo of a run is, but {origin} is no run. Leave it out.")
    check_new_directory(output)
    source = None if run.is_run else resolve(origin)

    start_tensorflow("cpu", verbose=verbose)
    from elmo_cli.workflows import export

    if form == "serving":
        export.export_serving(run.path, output, elmo=elmo)
        return
    found = export.handle_elmo(source) if source else export.run_elmo(run.path, elmo=elmo)
    export.export_elmo(found, form, output)
