"""What every command says, and the exit code it ends with."""

import contextlib
import logging
import os
import sys
import tempfile
import traceback
from collections.abc import Iterator
from typing import Any

import click

from elmo_cli import __version__
from elmo_cli.errors import ConfigError, DataError, ElmoCliError, RunError, SourceError

UNEXPECTED, WRONG_USE, BAD_DATA, NO_WEIGHTS, INTERRUPTED = 1, 2, 3, 4, 130

EXIT_CODES = """\b
Exit codes:
  0    done
  1    unexpected failure; a bug, please report it
  2    wrong use: an option, a configuration or a run directory
  3    bad data: a table cannot be read or used
  4    ELMo weights are not available
  130  interrupted"""

_CODES: dict[type[ElmoCliError], int] = {
    ConfigError: WRONG_USE,
    RunError: WRONG_USE,
    DataError: BAD_DATA,
    SourceError: NO_WEIGHTS,
}


class Command(click.Command):
    """A command that turns errors into messages and exit codes, and lists the codes in its help."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"epilog": EXIT_CODES, **kwargs})

    def invoke(self, context: click.Context) -> Any:
        """Runs the command; every way it can end has its exit code."""
        try:
            return super().invoke(context)
        except ElmoCliError as error:
            click.echo(f"Error: {error}", err=True)
            context.exit(next(code for kind, code in _CODES.items() if isinstance(error, kind)))
        except KeyboardInterrupt:
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
        verbose: TensorFlow's own messages, too.
    """
    package = logging.getLogger("elmo_cli")
    package.setLevel(logging.INFO)
    for handler in [handler for handler in package.handlers if isinstance(handler, _Lines)]:
        package.removeHandler(handler)
    lines = _Lines(logging.WARNING if quiet else logging.INFO)
    package.addHandler(lines)
    package.propagate = False
    if not verbose:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@contextlib.contextmanager
def tensorflow_quiet(*, verbose: bool = False) -> Iterator[None]:
    """Keeps what TensorFlow's native code says while it starts off the terminal.

    Import the workflow inside the block. The block also runs a first operation, for some of the noise
    comes with it. When the block fails, what was held back is shown.

    Args:
        verbose: Show everything.
    """
    if verbose:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
            import tensorflow as tf

            tf.get_logger().setLevel("ERROR")
        except BaseException:
            held_back.seek(0)
            os.write(kept, held_back.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
