"""Options that several commands share, and how flags become a configuration."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from elmo_cli import __version__
from elmo_cli.config import DataConfig, RunConfig, load_config, parse_override

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH = click.Path(path_type=Path)


def setting(flag: str, key: str, help_text: str, **kwargs: Any) -> Decorator:
    """Returns an option that overrides one key of the configuration.

    Args:
        flag: The option, such as ``--epochs``.
        key: Dotted key, such as ``training.epochs``; the parameter is called ``training__epochs``.
        help_text: One line for ``--help``.
        **kwargs: Those of `click.option`; values are checked when the configuration is read.
    """
    return click.option(flag, key.replace(".", "__"), default=None, help=help_text, **kwargs)


def switch(flag: str, key: str, help_text: str) -> Decorator:
    """Returns an option without value that overrides one key; ``--a/--no-a`` sets it either way."""
    kwargs: dict[str, Any] = {} if "/" in flag else {"is_flag": True, "flag_value": True}
    return click.option(flag, key.replace(".", "__"), default=None, help=help_text, type=bool, **kwargs)


def all_of(*options: Decorator) -> Decorator:
    """Returns one decorator that adds the options in the order given."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


messages = all_of(
    click.option("--quiet", "-q", is_flag=True, help="Say warnings and errors only."),
    click.option("--verbose", "-v", is_flag=True, help="Show TensorFlow's own messages, too."),
    click.version_option(__version__, prog_name="elmo-cli"),
)

reading = all_of(
    setting("--text-column", "data.text_column", "Column with the texts: its name, or its number from 1."),
    setting("--delimiter", "data.delimiter", r"Character between cells; \t is a tab."),
    setting("--encoding", "data.encoding", "Text encoding, such as utf-8, utf-16 or cp1252."),
    switch("--quoting/--no-quoting", "data.quoting", 'Whether " quotes cells that hold delimiters.'),
    switch("--header/--no-header", "data.header", "Whether the first row names the columns."),
)

labels = all_of(
    setting("--label-column", "data.label_column", "Column with the labels: its name, or its number from 1."),
    switch(
        "--drop-unlabelled", "data.drop_unlabelled", "Drop rows without a label instead of refusing them."
    ),
    switch("--drop-empty", "data.drop_empty", "Drop rows without text instead of refusing them."),
)

device = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "gpu"]),
    default="auto",
    show_default=True,
    help="Where to compute.",
)

KINDS = click.Choice(["csv", "tsv", "jsonl", "parquet", "lines"])


def run_config(config_path: Path | None, assignments: tuple[str, ...], flags: Mapping[str, Any]) -> RunConfig:
    """Builds the configuration: file, then ``--set``, then flags.

    Args:
        config_path: YAML file, or None.
        assignments: ``key=value`` of each ``--set``.
        flags: Parameters made by `setting` and `switch`; those that are None were not given.

    Raises:
        ConfigError: For an unknown key or a wrong value.
    """
    overrides: dict[str, Any] = dict(parse_override(assignment) for assignment in assignments)
    overrides |= {name.replace("__", "."): value for name, value in flags.items() if value is not None}
    return load_config(config_path, overrides)


def data_config(flags: Mapping[str, Any], trained_with: DataConfig, path: Path | None) -> DataConfig:
    """Builds what a command is told about a table that was not part of the training.

    What the training table needed to be read is taken over for a file of the same ending.

    Args:
        flags: As in `run_config`.
        trained_with: How the training tables were read.
        path: The table, or None for standard input.
    """
    inherited: dict[str, Any] = {}
    if path is not None and trained_with.train and Path(trained_with.train).suffix == path.suffix:
        for name in ("format", "delimiter", "encoding", "quoting", "header"):
            if (value := getattr(trained_with, name)) is not None:
                inherited[f"data.{name}"] = value
    given = {name.replace("__", "."): value for name, value in flags.items() if value is not None}
    return load_config(None, inherited | given).data
