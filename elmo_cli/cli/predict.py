"""elmo-predict: a run and a table, lines or texts → the same with predictions."""

import errno
import itertools
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from elmo_cli.cli import console, options
from elmo_cli.cli.startup import start_tensorflow
from elmo_cli.counts import counted
from elmo_cli.errors import DataError
from elmo_cli.text.formats import kind_of_name, part_of

if TYPE_CHECKING:
    import pandas as pd

    from elmo_cli.config import DataConfig

logger = logging.getLogger(__name__)

_FILE_NAME = re.compile(r"\S*[^\s.]\.[A-Za-z][A-Za-z0-9]{1,7}")


@click.command(
    cls=console.Command,
    examples=(
        "elmo-predict runs/mine new.csv -o predicted.csv",
        'elmo-predict runs/mine "The soup was cold." "What a view!"',
        "elmo-predict runs/mine new.parquet --format jsonl --proba | head",
        "tail -f messages.txt | elmo-predict runs/mine -",
    ),
)
@click.argument("run", type=options.PATH)
@click.argument("inputs", metavar="[FILE|-|TEXT…]", nargs=-1)
@options.section(
    "Output",
    options.option(
        "-o",
        "--output",
        metavar="FILE",
        type=options.PATH,
        help_text="File to write instead of stdout (-); when cut short, finished rows stay in FILE.part, but "
        "not those of Parquet.",
    ),
    options.option(
        "--format",
        "output_format",
        metavar="KIND",
        type=options.KINDS,
        help_text="csv, tsv, jsonl, parquet, or lines (labels alone); else told from -o or the input.",
    ),
    options.option("--proba", is_flag=True, help_text="Add one column per class with its probability."),
    options.option("--top-k", metavar="N", type=int, default=1, help_text="Likeliest classes to add."),
    options.option(
        "--prefix", metavar="TEXT", default="", help_text="Put in front of the names of added columns."
    ),
)
@options.section(
    "Input",
    *options.READING,
    options.INPUT_FORMAT,
    options.CHUNK_ROWS,
)
@options.section("Computing", options.ELMO, options.DEVICE, options.PRECISION, *options.CACHE)
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
    elmo: str | None,
    precision: Any,
    cache_bytes: int | None,
    no_cache: bool,
    **flags: Any,
) -> None:
    """Add predictions of RUN to a table, keeping every column and the order of the rows.

    The input is a file (CSV, TSV, JSONL, Parquet, plain lines), standard input (-), or the texts
    themselves. Standard input is answered line by line.
    """
    console.start_messages(quiet=quiet, verbose=verbose)
    source = _source(inputs)
    path = source if isinstance(source, Path) else None
    if output == Path("-"):
        output = None
    if output is not None:
        options.check_output(output, path, part_of(output))
        output_format = output_format or kind_of_name(output)

    from elmo_cli.workflows.prediction_columns import PredictionColumns
    from elmo_cli.workflows.run_directory import RunDirectory

    directory = RunDirectory(run)
    directory.check_usable()
    if output is not None:
        options.check_spares(output, directory.files(), f"the run {run}")
    preprocessor = directory.read_preprocessor()
    columns = PredictionColumns(proba, top_k, prefix)
    columns.check_top_k(preprocessor.label_set)
    data = options.data_config(flags, directory.read_config().data, path)
    preprocessor = replace(preprocessor, text_column=data.text_column or preprocessor.text_column)
    tables = _tables(source, data, chunk_rows, preprocessor.text_column)
    if isinstance(source, Path | tuple):
        # Mistakes in a file are said before TensorFlow is loaded; standard input may still be waiting.
        first = next(tables)
        columns.check_free(first, preprocessor.label_set)
        if preprocessor.text_column_of(first) is None and path is not None and path.is_file():
            for _ in preprocessor.with_texts(_tables(source, data, chunk_rows, preprocessor.text_column)):
                pass
        tables = itertools.chain([first], tables)

    start_tensorflow(device, verbose=verbose)
    from elmo_cli.workflows.predict import Predictor, predict_tables

    with options.open_cache(cache_bytes, no_cache) as cache:
        predictor = Predictor(
            run,
            proba=proba,
            top_k=top_k,
            prefix=prefix,
            text_column=data.text_column,
            elmo=elmo,
            precision=precision,
            cache=cache,
        )
        num_rows = predict_tables(predictor, tables, output, output_format)
    if output is not None:
        logger.info("%s written to %s", counted(num_rows, "row"), output)


def _source(inputs: tuple[str, ...]) -> "Path | BinaryIO | tuple[str, ...]":
    """Returns a file, standard input, or the texts themselves."""
    if not inputs and (sys.stdin is None or sys.stdin.isatty()):
        raise click.UsageError("Give a file, - for standard input, or texts.")
    if inputs in ((), ("-",)):
        return options.standard_input()
    if len(inputs) > 1:
        if files := [text for text in inputs if text == "-" or _FILE_NAME.fullmatch(text)]:
            raise click.UsageError(f"One file at a time, or texts alone; {files[0]} is among {len(inputs)}.")
        return inputs
    if not inputs[0]:
        return inputs
    path = Path(inputs[0])
    try:
        if path.exists():
            return path
        in_directory = path.parent != Path() and path.parent.is_dir()
    except OSError as error:
        # A text may be too long for a file name; a file may be in a directory that cannot be looked into.
        return inputs if error.errno == errno.ENAMETOOLONG else path
    if _FILE_NAME.fullmatch(inputs[0]) or (in_directory and " " not in inputs[0]):
        raise DataError(f"{path}: there is no such file. Check the path; a text of one word can be piped in.")
    return inputs


def _tables(
    source: "Path | BinaryIO | tuple[str, ...]", data: "DataConfig", chunk_rows: int, text_column: str
) -> "Iterator[pd.DataFrame]":
    """Returns the pieces of the input."""
    if not isinstance(source, tuple):
        from elmo_cli.text.columns import with_column_asked_for
        from elmo_cli.text.tables import stream_table

        tables = stream_table(source, data, chunk_rows=chunk_rows, expected_columns=(text_column,))
        return with_column_asked_for(tables, data.text_column)
    from elmo_cli.text.tables import table_of_texts

    return iter([table_of_texts(source, "the command line")])
