"""elmo-fetch: a handle → an ELMo on this machine."""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from elmo_cli.byte_counts import format_bytes
from elmo_cli.cli import console, options

if TYPE_CHECKING:
    from elmo_cli.elmo.source import ElmoSource

logger = logging.getLogger(__name__)

KINDS = {"bilm": "a native ELMo (options and HDF5 weights)", "hub": "a TensorFlow Hub module"}


def _sha256(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    """Reads a SHA-256."""
    if text is not None and not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise click.BadParameter(f"64 hexadecimal digits are expected; received {text!r}.")
    return text


@click.command(
    cls=console.Command,
    examples=(
        "elmo-fetch --list",
        "elmo-fetch google/elmo/3",
        "elmo-fetch https://example.org/elmo.tar.gz --sha256 HEX",
        'elmo-train train.csv -o runs/small --elmo "$(elmo-fetch allennlp:small)"',
    ),
)
@click.argument("handle", required=False)
@options.section(
    "What to fetch",
    options.option(
        "--sha256",
        metavar="HEX",
        callback=_sha256,
        help_text="SHA-256 that the archive must have, or the weights where they are a file beside the "
        "options; anything else is refused.",
    ),
    options.option("--list", "show_list", is_flag=True, help_text="Show the public ELMos that have a name."),
)
@options.messages
def main(handle: str | None, sha256: str | None, show_list: bool, quiet: bool, verbose: bool) -> None:
    """Bring an ELMo into the cache, check it, and print where it is.

    HANDLE is what --elmo of the other commands takes: the name of a public ELMo, an address, a path. What is
    there already is not fetched again; a download that was cut goes on where it stopped.
    """
    console.start_messages(quiet=quiet, verbose=verbose)
    if show_list:
        _show_known()
        return
    if handle is None:
        raise click.UsageError("Say what to fetch: HANDLE, or --list for those that have a name.")
    from elmo_cli.elmo.source import resolve

    source = resolve(handle, sha256=sha256)
    _describe(source)
    click.echo(_place(source))


def _show_known() -> None:
    """Prints the table of public ELMos."""
    from elmo_cli.elmo.fetching.known import KNOWN

    rows = [("name", "download", "language", "trained on", "licence", "from")]
    for model in KNOWN:
        size = "?" if model.num_bytes is None else format_bytes(model.num_bytes)
        rows.append((model.name, size, model.language, model.text, model.licence, model.page))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _describe(source: "ElmoSource") -> None:
    """Says what was found, and by which numbers it can be known again."""
    from elmo_cli.elmo.fetching.fetch import origin_of

    if source.weights_path is None or source.options_path is None:
        files = [path for path in source.path.rglob("*") if path.is_file()]
    else:
        files = [source.options_path, source.weights_path]
    size = format_bytes(sum(path.stat().st_size for path in files))
    logger.info("%s: %s, %s", source.handle, KINDS[source.kind], size)
    if origin := origin_of(source.weights_path or source.path):
        logger.info("  from         %s (%s)", origin.url or origin.file, origin.fetched)
        logger.info("  SHA-256      %s (%s)", origin.sha256, format_bytes(origin.num_bytes))
    logger.info("  fingerprint  %s", source.fingerprint)


def _place(source: "ElmoSource") -> Path | str:
    """Returns what gives the same ELMo as --elmo: its directory, unless its files are not alone there."""
    from elmo_cli.elmo.fetching.model_files import options_files, with_partner

    if source.options_path is None or source.weights_path is None:
        return source.path
    pair = (source.options_path, source.weights_path)
    if source.options_path.parent == source.weights_path.parent:
        found = options_files(source.path)
        if len(found) == 1 and with_partner(source.handle, found[0]) == pair:
            return source.path
    return f"{pair[0]},{pair[1]}"
