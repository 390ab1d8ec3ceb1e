"""elmo-embed: a table or lines → the vectors of their texts."""

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from elmo_cli.cli import console, options
from elmo_cli.cli.startup import start_tensorflow
from elmo_cli.config import DataConfig
from elmo_cli.config_yaml import load_config
from elmo_cli.counts import counted
from elmo_cli.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


@click.command(
    cls=console.Command,
    examples=(
        "elmo-embed texts.csv -o vectors.npz",
        "elmo-embed texts.csv -o vectors.parquet --layers all --pool mean,max",
        "elmo-embed sentences.txt -o vectors.hdf5 --tokenizer whitespace --layers all --pool none",
        "elmo-embed new.csv -o vectors.npz --run runs/mine",
    ),
)
@click.argument("file")
@options.section(
    "Output",
    options.option(
        "-o",
        "--output",
        metavar="OUT",
        type=options.PATH,
        required=True,
        help_text="File to write, whole or not at all: .npz, .hdf5 (.h5) or .parquet.",
    ),
    options.option(
        "--format",
        "kind",
        type=click.Choice(["npz", "hdf5", "parquet"]),
        help_text="Format of OUT; else told from its ending.",
    ),
    options.option(
        "--layers",
        metavar="LAYERS",
        default="mix",
        help_text="mix: the layers' weighted sum, by the weights of --run, else their plain average (gamma "
        "1); all: each for itself; or numbers from 0 (the token layer), such as 2 or 0,2.",
    ),
    options.option(
        "--pool",
        metavar="NAMES",
        default="mean",
        help_text="none: the vectors of all tokens; mean, max or mean,max: one vector for the text. Each "
        "layer is pooled before layers are mixed.",
    ),
    options.option(
        "--dtype", type=click.Choice(["float32", "float16"]), default="float32", help_text="Type of numbers."
    ),
    options.option(
        "--prefix",
        metavar="TEXT",
        default="",
        help_text="Put in front of the names of columns that Parquet gets: vector (and tokens).",
    ),
)
@options.section(
    "Input",
    *options.READING,
    options.INPUT_FORMAT,
    options.option(
        "--tokenizer",
        type=click.Choice(["treebank", "whitespace"]),
        help_text="How texts are split; whitespace for texts that already are.  [default: that of --run, "
        "else treebank]",
    ),
    options.option(
        "--max-length",
        metavar="N",
        type=click.IntRange(1),
        help_text="Most tokens to keep of a text.  [default: that of --run, else all]",
    ),
    options.CHUNK_ROWS,
)
@options.section(
    "ELMo and computing",
    options.option(
        "--elmo",
        metavar="HANDLE",
        help_text="Where ELMo comes from: bundled, a public name, a URL or a path; with --run: where the "
        "run's ELMo is now, if it was moved.  [default: that of --run, else bundled]",
    ),
    options.option(
        "--run",
        type=options.PATH,
        metavar="RUN",
        help_text="Take ELMo, tokenizer, maximum length and learned mix of this run of elmo-train.",
    ),
    options.DEVICE,
    options.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        help_text=f"{options.PRECISION_HELP}  [default: as --run was configured, else float32]",
    ),
    *options.CACHE,
)
@options.messages
def main(
    file: str,
    output: Path,
    kind: Any,
    layers: str,
    pool: str,
    dtype: str,
    prefix: str,
    tokenizer: str | None,
    max_length: int | None,
    chunk_rows: int,
    elmo: str | None,
    run: Path | None,
    device: Any,
    precision: Any,
    cache_bytes: int | None,
    no_cache: bool,
    quiet: bool,
    verbose: bool,
    **flags: Any,
) -> None:
    """Write the ELMo vectors of the texts in FILE to OUT, in the order of the rows.

    FILE is a table (CSV, TSV, JSONL, Parquet), plain lines, or standard input (-). Large files stream in
    constant memory. When it is cut short, nothing is left at OUT; pooled vectors stay in the cache, so
    that the next try is quick.
    """
    console.start_messages(quiet=quiet, verbose=verbose)
    from elmo_cli.workflows.vector_choice import VectorChoice
    from elmo_cli.workflows.vector_file import kind_of_file

    VectorChoice(layers, pool, dtype)
    kind = kind_of_file(output, kind)
    if prefix and kind != "parquet":
        raise ConfigError(
            f"--prefix {prefix} is for the columns that Parquet gets, but -o {output} is {kind} and has "
            "none. Leave it out."
        )
    path = None if file == "-" else Path(file)
    options.check_output(output, path)
    if run is not None:
        from elmo_cli.workflows.run_directory import RunDirectory

        directory = RunDirectory(run)
        directory.check_usable()
        options.check_spares(output, directory.files(), f"the run {run}")
    # Mistakes in the table are said before TensorFlow is loaded.
    from elmo_cli.text.columns import find_text_column

    data, text_column = _reading(flags, run, path)
    tables = _tables(path, data, chunk_rows, text_column)
    first = next(tables)
    found = find_text_column(first, text_column)

    start_tensorflow(device, verbose=verbose)
    from elmo_cli.workflows.embed import Embedding, embed_tables

    with options.open_cache(cache_bytes, no_cache) as cache:
        embedding = Embedding(
            layers=layers,
            pool=pool,
            dtype=dtype,
            elmo=elmo,
            run=run,
            text_column=text_column or found,
            tokenizer=tokenizer,
            max_length=max_length,
            precision=precision,
            cache=cache,
        )
        options.check_spares(output, embedding.source.files(), f"the ELMo {embedding.source.handle}")
        report = embed_tables(embedding, itertools.chain([first], tables), output, kind, prefix=prefix)
    if report.num_rows_cut:
        logger.info("At most %s of a text: %s", counted(embedding.max_tokens, "token"), report)
    logger.info("The vectors of %s were written to %s", counted(report.num_rows, "row"), output)


def _reading(flags: dict[str, Any], run: Path | None, path: Path | None) -> tuple[DataConfig, str | None]:
    """Returns what is known of the table, and of its text column."""
    if run is None:
        data = load_config(None, options.given(flags)).data
        return data, data.text_column
    from elmo_cli.workflows.run_directory import RunDirectory

    directory = RunDirectory(run)
    directory.check_usable()
    data = options.data_config(flags, directory.read_config().data, path)
    return data, data.text_column or directory.read_preprocessor().text_column


def _tables(
    path: Path | None, data: DataConfig, chunk_rows: int, text_column: str | None
) -> "Iterator[pd.DataFrame]":
    """Yields the pieces of the table, at least one; one without rows where the table has none."""
    from elmo_cli.text.columns import with_column_asked_for
    from elmo_cli.text.tables import NoRowsError, stream_table

    expected = () if text_column is None else (text_column,)
    source = path or options.standard_input()
    tables = stream_table(source, data, chunk_rows=chunk_rows, expected_columns=expected)
    try:
        yield from with_column_asked_for(tables, data.text_column)
    except NoRowsError as error:
        yield error.table
