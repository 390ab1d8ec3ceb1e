"""Options that several commands share, and how flags become a configuration."""

import logging
import os
import sys
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import click

from elmo_cli import __version__
from elmo_cli.byte_counts import parse_bytes
from elmo_cli.cli.console import Option
from elmo_cli.config import DataConfig, RunConfig
from elmo_cli.config_reading import leaf_types
from elmo_cli.config_yaml import load_config, parse_override
from elmo_cli.errors import ConfigError

if TYPE_CHECKING:
    from elmo_cli.elmo.cache import EmbeddingCache

logger = logging.getLogger(__name__)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH = click.Path(path_type=Path)
KINDS = click.Choice(["csv", "tsv", "jsonl", "parquet", "lines"])


def option(*names: str, help_text: str, **kwargs: Any) -> Decorator:
    """Returns an option; a default that is not empty is shown in its help.

    Args:
        *names: Flags, and the parameter's name where it is another.
        help_text: What it is for.
        **kwargs: Those of `click.option`.
    """
    return click.option(*names, cls=Option, help=_with_default(help_text, kwargs.get("default")), **kwargs)


def setting(flag: str, key: str, help_text: str, **kwargs: Any) -> Decorator:
    """Returns an option that overrides one key of the configuration.

    Choices and the default that is shown come from `RunConfig`.

    Args:
        flag: The option, such as ``--epochs``.
        key: Dotted key, such as ``training.epochs``; the parameter is called ``training__epochs``.
        help_text: One line for ``--help``.
        **kwargs: Those of `click.option`; values are checked when the configuration is read.
    """
    if choices := _choices(leaf_types(RunConfig)[key]):
        kwargs = {"type": click.Choice(choices), **kwargs}
    help_text = _with_default(help_text, _default(key))
    return click.option(flag, key.replace(".", "__"), cls=Option, default=None, help=help_text, **kwargs)


def switch(flag: str, key: str, help_text: str) -> Decorator:
    """Returns an option without value that overrides one key; ``--a/--no-a`` sets it either way."""
    kwargs: dict[str, Any] = {} if "/" in flag else {"is_flag": True, "flag_value": True}
    return click.option(
        flag, key.replace(".", "__"), cls=Option, default=None, help=help_text, type=bool, **kwargs
    )


def section(title: str, *options: Decorator) -> Decorator:
    """Returns one decorator that adds the options, in the order given, under a heading of the help."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for add in reversed(options):
            function = add(function)
            for parameter in function.__click_params__[-1:]:  # type: ignore[attr-defined]
                parameter.section = title
        return function

    return decorate


def _with_default(help_text: str, default: Any) -> str:
    if isinstance(default, tuple):
        default = ",".join(map(str, default)) or "none"
    return help_text if default in (None, "", False) else f"{help_text}  [default: {default}]"


def _default(key: str) -> Any:
    """Returns the default of a dotted key."""
    value: Any = RunConfig()
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _choices(annotation: Any) -> tuple[str, ...]:
    """Returns the words that a key may be, when it is one of certain words (or None)."""
    options = [each for each in typing.get_args(annotation) or () if each is not type(None)]
    if typing.get_origin(annotation) is Literal:
        options = [annotation]
    if len(options) == 1 and typing.get_origin(options[0]) is Literal:
        return typing.get_args(options[0])
    return ()


READING = (
    setting(
        "--text-column",
        "data.text_column",
        "Column of the texts: its name, or its number from 1.",
        metavar="COLUMN",
    ),
    setting("--delimiter", "data.delimiter", r"Character between cells; \t is a tab.", metavar="CHARACTER"),
    setting("--encoding", "data.encoding", "Text encoding, such as utf-8, utf-16 or cp1252.", metavar="NAME"),
    switch("--quoting/--no-quoting", "data.quoting", 'Whether " quotes cells that hold delimiters.'),
    switch("--header/--no-header", "data.header", "Whether the first row names the columns."),
)

INPUT_FORMAT = setting(
    "--input-format",
    "data.format",
    "Format of the input: csv, tsv, jsonl, parquet or lines; else told from it.",
    metavar="KIND",
)

CHUNK_ROWS = option(
    "--chunk-rows",
    metavar="N",
    type=click.IntRange(1),
    default=4096,
    help_text="Most rows held in memory at once.",
)

LABELS = (
    setting(
        "--label-column",
        "data.label_column",
        "Column of the labels: its name, or its number from 1.",
        metavar="COLUMN",
    ),
    switch(
        "--drop-unlabelled", "data.drop_unlabelled", "Drop rows without a label instead of refusing them."
    ),
    switch(
        "--drop-empty",
        "data.drop_empty",
        "Drop rows without text; else elmo-train refuses them, and elmo-eval scores them as empty texts.",
    ),
)

ELMO = option(
    "--elmo",
    metavar="HANDLE",
    help_text="Where the run's ELMo is now, if it was moved.",
)

DEVICE = option(
    "--device", type=click.Choice(["auto", "cpu", "gpu"]), default="auto", help_text="Where to compute."
)

PRECISION_HELP = "Of ELMo's products: bfloat16 is faster where the processor has it, which auto finds out."

PRECISION = option(
    "--precision",
    type=click.Choice(_choices(leaf_types(RunConfig)["elmo.precision"])),
    help_text=PRECISION_HELP,
)


def _num_bytes(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Reads a size as people write it."""
    try:
        return None if text is None else parse_bytes(text)
    except ConfigError as error:
        raise click.BadParameter(str(error)) from error


CACHE = (
    option(
        "--cache-bytes",
        metavar="SIZE",
        callback=_num_bytes,
        help_text="Most disk space for embeddings kept for later runs, such as 500MB.  [default: 4GB]",
    ),
    option("--no-cache", is_flag=True, help_text="Neither use embeddings of former runs nor keep any."),
)


def _go_offline(context: click.Context, _: click.Parameter, offline: bool) -> None:
    """Says so to all that may fetch something, as long as the command runs."""
    if not offline:
        return
    from elmo_cli.elmo.fetching.fetch import OFFLINE_VARIABLE

    before = os.environ.get(OFFLINE_VARIABLE)
    os.environ[OFFLINE_VARIABLE] = "1"

    def restore() -> None:
        os.environ.pop(OFFLINE_VARIABLE)
        if before is not None:
            os.environ[OFFLINE_VARIABLE] = before

    context.call_on_close(restore)


messages = section(
    "Other options",
    option(
        "--offline",
        is_flag=True,
        expose_value=False,
        callback=_go_offline,
        help_text="Never use the network (or set ELMO_CLI_OFFLINE=1): take an ELMo from the cache, or fail.",
    ),
    option("-q", "--quiet", is_flag=True, help_text="Say warnings and errors only."),
    option("-v", "--verbose", is_flag=True, help_text="Say more; show TensorFlow's own messages, too."),
    click.version_option(__version__, prog_name="elmo-cli"),
)


def open_cache(cache_bytes: int | None, no_cache: bool) -> "EmbeddingCache":
    """Opens the cache of embeddings as `CACHE` asks for."""
    from elmo_cli.elmo.cache import EmbeddingCache

    return EmbeddingCache(max_bytes=0 if no_cache else cache_bytes)


def check_output(output: Path, source: Path | None, *others: Path) -> None:
    """Raises ConfigError when what a command writes would replace what it reads.

    Args:
        output: The file to write.
        source: The file that is read; None for standard input and texts.
        *others: Files that are written on the way.
    """
    if source is not None and any(_are_one_file(place, source) for place in (output, *others)):
        raise ConfigError(
            f"-o {output} would replace the input itself. Choose another name, so nothing is lost."
        )


def check_spares(output: Path, files: Iterable[Path], whose: str) -> None:
    """Raises ConfigError when what a command writes would replace a file that it works with.

    Args:
        output: The file to write.
        files: Those to be spared.
        whose: What they belong to, for the message.
    """
    if any(_are_one_file(output, file) for file in files):
        raise ConfigError(
            f"-o {output} would replace a file of {whose}. Choose another name, so nothing is lost."
        )


def standard_input() -> BinaryIO:
    """Returns standard input as bytes; raises UsageError where it is closed."""
    if sys.stdin is None:
        raise click.UsageError("Standard input is closed. Give a file, or pipe something in.")
    return sys.stdin.buffer


def _are_one_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file; what may not be looked at, or cannot be a path, is said later."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def given(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the flags made by `setting` and `switch` say, by dotted key; None was not given."""
    return {name.replace("__", "."): value for name, value in flags.items() if value is not None}


def run_config(config_path: Path | None, assignments: tuple[str, ...], flags: Mapping[str, Any]) -> RunConfig:
    """Builds the configuration: defaults, then file, then ``--set``, then flags; what comes later wins.

    Args:
        config_path: YAML file, or None.
        assignments: ``key=value`` of each ``--set``.
        flags: Parameters made by `setting` and `switch`.

    Raises:
        ConfigError: For an unknown key or a wrong value.
    """
    overrides: dict[str, Any] = dict(parse_override(assignment) for assignment in assignments)
    return load_config(config_path, overrides | given(flags))


def data_config(flags: Mapping[str, Any], trained_with: DataConfig, path: Path | None) -> DataConfig:
    """Builds what a command is told about a table that was not part of the training.

    What the training table needed to be read is taken over for a file of the same ending.

    Args:
        flags: As in `run_config`.
        trained_with: How the training tables were read.
        path: The table, or None for standard input and texts.

    Raises:
        ConfigError: For a wrong value.
    """
    told = given(flags)
    inherited: dict[str, Any] = {}
    if path is not None and trained_with.train and Path(trained_with.train).suffix == path.suffix:
        layout = ("format", "delimiter", "encoding", "quoting", "header")
        inherited = {f"data.{name}": getattr(trained_with, name) for name in layout}
        said = [
            f"{key.removeprefix('data.')} {value!r}"
            for key, value in inherited.items()
            if value is not None and key not in told
        ]
        if said:
            logger.info("%s is read like the training table: %s", path, ", ".join(said))
    return load_config(None, inherited | told).data
