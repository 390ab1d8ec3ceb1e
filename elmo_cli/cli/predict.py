"""elmo-predict: a run and a table, lines or texts → the same with predictions."""

import sys
from pathlib import Path
from typing import Any

import click

from elmo_cli.cli import console, options
from elmo_cli.errors import ConfigError, DataError

_SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


@click.command(cls=console.Command)
@click.argument("run", type=options.PATH)
@click.argument("inputs", metavar="[FILE|-|TEXT…]", nargs=-1)
@click.option("-o", "--output", metavar="FILE", type=options.PATH, help="File to write instead of stdout.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["csv", "tsv", "jsonl", "parquet"]),
    help="Format to write; that of the input, or told from -o.",
)
@click.option("--proba", is_flag=True, help="Add one column per class with its probability.")
@click.option("--top-k", type=int, default=1, show_default=True, help="Likeliest classes to add.")
@click.option("--prefix", default="", help="Put in front of the names of the added columns.")
@options.reading
@options.setting(
    "--input-format", "data.format", "Format of the input; told from name and content.", type=options.KINDS
)
@click.option(
    "--chunk-rows", type=click.IntRange(1), default=4096, show_default=True, help="Rows held in memory."
)
@options.device
@options.messages
def main(
    run: Path,
    inputs: tuple[str, ...],
    output: Path | None,
    output_format: Any,
    proba: bool,
    top_k: int,
    prefix: str,
    chunk_rows: int,
    quiet: bool,
    verbose: bool,
    device: Any,
    **flags: Any,
) -> None:
    r"""Add predictions of RUN to a table, keeping every column and the order of the rows.

    The input is a file (CSV, TSV, JSONL, Parquet, plain lines), standard input (-), or the texts
    themselves. Standard input is answered line by line.

    \b
    elmo-predict runs/mine new.csv -o predicted.csv
    elmo-predict runs/mine "The soup was cold."
    tail -f messages.txt | elmo-predict runs/mine -
    """
    console.start_messages(quiet=quiet, verbose=verbose)
    path = _file(inputs)
    if output is not None and path is not None and output.exists() and output.samefile(path):
        raise ConfigError(f"-o {output} is the input itself. Choose another name, so that nothing is lost.")

    from elmo_cli.text.tables import stream_table
    from elmo_cli.workflows.run_directory import RunDirectory

    directory = RunDirectory(run)
    directory.check_usable()
    data = options.data_config(flags, directory.read_config().data, path)
    columns = (data.text_column or directory.read_preprocessor().text_column,)
    if inputs and path is None and inputs != ("-",):
        tables = _as_table(inputs)
    else:
        source = sys.stdin.buffer if path is None else path
        tables = stream_table(source, data, chunk_rows=chunk_rows, expected_columns=columns)
    with console.tensorflow_quiet(verbose=verbose):
        from elmo_cli.workflows.predict import Predictor, predict_tables
    predictor = Predictor(
        run, proba=proba, top_k=top_k, prefix=prefix, text_column=data.text_column, device=device
    )
    if output_format is None and output is not None:
        output_format = _SUFFIXES.get(output.suffix.lower())
    num_rows = predict_tables(predictor, tables, output, output_format)
    if output is not None:
        click.echo(f"{num_rows} rows written to {output}", err=True)


def _file(inputs: tuple[str, ...]) -> Path | None:
    """Returns the input file, or None for standard input and for texts."""
    if not inputs and sys.stdin.isatty():
        raise click.UsageError("Give a file, - for standard input, or texts.")
    if inputs in ((), ("-",)):
        return None
    if len(inputs) > 1:
        if files := [text for text in inputs if text == "-" or Path(text).suffix.lower() in _SUFFIXES]:
            raise click.UsageError(f"One file at a time, or texts alone; {files[0]} is among {len(inputs)}.")
        return None
    try:
        path = Path(inputs[0])
        if path.exists():
            return path
    except OSError:
        return None  # a text too long for a file name
    if path.suffix.lower() in _SUFFIXES and " " not in inputs[0]:
        raise DataError(f"{path}: there is no such file. Check the path; a text may stand in its place, too.")
    return None


def _as_table(texts: tuple[str, ...]) -> Any:
    """Returns the texts as a table of one piece."""
    import pandas as pd

    from elmo_cli.text.formats import TableFormat

    table = pd.DataFrame({"text": list(texts)}, dtype=object)
    table.attrs.update(path="the command line", first_row=1, format=TableFormat("lines"), blank_lines=())
    return [table]
