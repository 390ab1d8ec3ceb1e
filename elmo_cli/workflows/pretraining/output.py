"""The directory a pre-training writes: whether it may be taken, and that one process alone takes it."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from elmo_cli import files
from elmo_cli.errors import RunError


def checkpoint_directory(output: Path) -> Path:
    """Returns where in the output a training keeps what it needs to go on."""
    return output / "checkpoint"


def check_output(output: Path, *, resume: bool) -> None:
    """Looks whether training can begin in a directory, or go on there; writes nothing.

    Raises:
        RunError: When it cannot.
    """
    try:
        if resume:
            if not (checkpoint_directory(output) / "state.npz").is_file():
                raise RunError(f"{output} holds no checkpoint to go on from. Leave out --resume to start.")
        elif output.is_file():
            raise RunError(f"{output} is a file. Choose another -o: a directory to make.")
        elif output.exists() and not _only_begun(output):
            raise RunError(f"{output} exists and is not empty. Choose another -o, or go on with --resume.")
        _check_writable(output)
    except OSError as error:
        raise RunError(
            f"{output} cannot be used: {error.strerror}. Choose another -o, or check its permissions."
        ) from error


@contextlib.contextmanager
def alone_in(output: Path) -> Iterator[None]:
    """Makes the directory and keeps other processes from training into it.

    Raises:
        RunError: When another process trains there, or the directory cannot be written.
    """
    existed = output.exists()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(files.lock(checkpoint_directory(output) / "lock", timeout_s=0))
        except files.LockedError as error:
            raise RunError(
                f"{output}: another process trains there. Wait for its end, or choose another -o."
            ) from error
        try:
            yield
        except BaseException:
            if _only_begun(output):  # a mistake in the text leaves nothing behind
                shutil.rmtree(output if not existed else checkpoint_directory(output), ignore_errors=True)
            raise


def _only_begun(output: Path) -> bool:
    """Whether there is nothing but what a training that was killed before its first checkpoint leaves."""
    if any(path.name != "checkpoint" for path in output.iterdir()):
        return False
    checkpoint = checkpoint_directory(output)
    return not checkpoint.exists() or all(
        path.name in ("lock", "vocab.txt") or path.name.startswith((".tmp-", "text-", "held-out-"))
        for path in checkpoint.iterdir()
    )


def _check_writable(output: Path) -> None:
    """Raises OSError where nothing can be made, before the words of a large text are counted in vain."""
    existing = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(existing, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
