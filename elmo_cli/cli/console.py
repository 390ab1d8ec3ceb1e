"""What every command says, and the exit code it ends with."""

import logging
import os
import sys
import traceback
from typing import Any

import click

from elmo_cli import __version__
from elmo_cli.cli.termination import interruptions_heard
from elmo_cli.errors import ConfigError, DataError, ElmoCliError, RunError, SourceError
from elmo_cli.training.interruption import arrive, interruptions_as_such

UNEXPECTED, WRONG_USE, BAD_DATA, NO_WEIGHTS, BELOW_GATE, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 5, 130, 143

EXIT_CODES = {
    0: "done",
    UNEXPECTED: "unexpected failure: a bug, please report it",
    WRONG_USE: "wrong use: an option, a configuration or a run directory",
    BAD_DATA: "bad data: a table cannot be read or used",
    NO_WEIGHTS: "ELMo weights are not available",
    BELOW_GATE: "kept for quality gates: a number is below the one asked for",
    INTERRUPTED: "interrupted; what is finished is kept where that is possible",
    TERMINATED: "the same by SIGTERM, as of timeout or docker stop",
}

_CODES: dict[type[ElmoCliError], int] = {
    ConfigError: WRONG_USE,
    RunError: WRONG_USE,
    DataError: BAD_DATA,
    SourceError: NO_WEIGHTS,
}


class Option(click.Option):
    """An option that knows under which heading of the help it stands.

    Args:
        *args: Those of `click.Option`.
        **kwargs: Those of `click.Option`.

    Attributes:
        section: The heading; see `options.section`.
    """

    section = "Other options"

    def get_help_extra(self, context: click.Context) -> Any:
        """Leaves ranges out: a value outside of one is answered with it."""
        return {name: text for name, text in super().get_help_extra(context).items() if name != "range"}


class Command(click.Command):
    """A command that turns errors into messages and exit codes.

    Its help has examples below the description, options under headings, and the exit codes at the end.

    Args:
        *args: Those of `click.Command`.
        examples: Command lines to show.
        **kwargs: Those of `click.Command`.
    """

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:
        settings = {"max_content_width": 100, "help_option_names": ["-h", "--help"]}
        super().__init__(*args, **{"context_settings": settings, **kwargs})
        self.examples = examples

    def format_help_text(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes description and examples."""
        super().format_help_text(context, formatter)
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options under their headings, in the order of first appearance."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(context):
            record = parameter.get_help_record(context) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections.setdefault(getattr(parameter, "section", Option.section), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records, col_max=32)

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])

    def invoke(self, context: click.Context) -> Any:
        """Runs the command; every way it can end has its exit code."""
        with interruptions_heard() as terminated:
            try:
                return self._invoke(context)
            except click.exceptions.Exit as end:
                if end.exit_code == INTERRUPTED and terminated():
                    context.exit(TERMINATED)
                raise

    def _invoke(self, context: click.Context) -> Any:
        try:
            with interruptions_as_such():
                return super().invoke(context)
        except ElmoCliError as error:
            click.echo(f"Error: {error}", err=True)
            context.exit(next(code for kind, code in _CODES.items() if isinstance(error, kind)))
        except KeyboardInterrupt as error:
            arrive(error)
            click.echo("Interrupted.", err=True)
            context.exit(INTERRUPTED)
        except BrokenPipeError:
            # Who reads our output has seen enough; the interpreter must not fail on its last flush.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            context.exit(0)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:
            traceback.print_exc()
            click.echo(
                f"Error: this is a bug in elmo-cli {__version__}. Please report it with the lines above.",
                err=True,
            )
            context.exit(UNEXPECTED)


class _Lines(logging.Handler):
    """Writes messages to stderr, whatever stderr is at that time."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            prefix = "" if record.levelno < logging.WARNING else f"{record.levelname.capitalize()}: "
            click.echo(prefix + self.format(record), err=True)
        except Exception:
            self.handleError(record)


def start_messages(*, quiet: bool = False, verbose: bool = False) -> None:
    """Sends the package's messages to stderr.

    Args:
        quiet: Warnings only.
        verbose: Details, too.
    """
    package = logging.getLogger("elmo_cli")
    package.setLevel(logging.DEBUG if verbose else logging.INFO)
    for handler in [handler for handler in package.handlers if isinstance(handler, _Lines)]:
        package.removeHandler(handler)
    package.addHandler(_Lines(logging.WARNING if quiet else logging.NOTSET))
    package.propagate = False
