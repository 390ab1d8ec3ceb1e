"""A directory that is whole or absent."""

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from elmo_cli.errors import RunError
from elmo_cli.files import NO_ROOM, synchronise

_UNFINISHED = re.compile(r"\.tmp-[0-9a-f]{8}")  # in a directory that was there already
_LAST = "saved_model.pb"  # with it a directory is a model to those who look


def check_new_directory(path: Path) -> None:
    """Looks whether `new_directory` can make a directory; writes nothing.

    Raises:
        RunError: When something stands there, or nothing can be made there.
    """
    try:
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file. Choose another -o: a directory to make.")
        if path.exists() and not _is_empty(path):
            raise RunError(f"{path} exists and is not empty, so nothing in it is touched. Choose another -o.")
        place = Path(os.path.realpath(path))
        existing = next(parent for parent in (place, *place.parents) if parent.exists())
        if not existing.is_dir():
            raise RunError(f"{path} cannot be made: {existing} is a file. Choose another -o.")
        if not os.access(existing, os.W_OK | os.X_OK):
            which = path if existing == place else f"{path} cannot be made: {existing}"
            raise RunError(f"{which} is not writable. Choose another -o, or make it writable.")
    except OSError as error:
        raise RunError(f"{path} cannot be used: {error.strerror}. Choose another -o.") from error


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Gives a directory to write into, and brings its content to the wanted place when the block ends well.

    It stands beside the place and is moved there; or in it where that is there already, which so stays what
    it is: the current directory, a mount point, the only place in its parent that can be written.

    When the block fails nothing is left; a process that is killed leaves at most a directory whose name
    begins with ``.tmp-``. In the place that does not count as content, and goes with the next that succeeds.

    Args:
        path: The directory to make; an empty one may be there. Its parents are made.

    Yields:
        Where to write.

    Raises:
        RunError: When it cannot be made or written, or something stands there in the end. Errors of the block
            that are not of writing there pass.
    """
    check_new_directory(path)
    place = Path(os.path.realpath(path))
    is_there, name = place.exists(), f".tmp-{secrets.token_hex(4)}"
    beside = place / name if is_there else place.with_name(f"{name}-{place.name[-100:]}")
    try:
        with _naming(path):
            beside.mkdir(parents=True)
        try:
            yield beside
        except OSError as error:
            if not is_of_writing(error, beside):
                raise
            raise _cannot_be_written(path, error) from error
        with _naming(path):
            for file in sorted(beside.rglob("*")):
                if file.is_file():
                    synchronise(file)
            if is_there:
                _move_up(beside, place)
                return
            if place.exists():
                place.rmdir()  # an empty one; it fails if another process has filled it meanwhile
            os.replace(beside, place)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _is_empty(directory: Path) -> bool:
    return all(_UNFINISHED.fullmatch(child.name) for child in directory.iterdir())


def _move_up(inside: Path, place: Path) -> None:
    """Moves the content of a directory into the one that it stands in: all of it, or nothing."""
    if not _is_empty(place):  # another process has filled it meanwhile
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY))
    names = sorted(os.listdir(inside), key=lambda name: name == _LAST)
    try:
        for name in names:
            os.rename(inside / name, place / name)
    except BaseException:
        for name in names:
            if not os.path.lexists(inside / name):
                with contextlib.suppress(OSError):
                    os.rename(place / name, inside / name)
        raise
    for child in place.iterdir():
        if _UNFINISHED.fullmatch(child.name):
            shutil.rmtree(child, ignore_errors=True)


def is_of_writing(error: OSError, directory: Path) -> bool:
    """Whether an error is about a file in a directory or, where it names none, about a disk."""
    if isinstance(error.filename, str | bytes | os.PathLike):
        return Path(os.fsdecode(error.filename)).is_relative_to(directory)
    return error.errno in (*NO_ROOM, errno.EIO)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turns an OSError in the block into a RunError that names the path the user knows."""
    try:
        yield
    except OSError as error:
        raise _cannot_be_written(path, error) from error


def _cannot_be_written(path: Path, error: OSError) -> RunError:
    reason = error.strerror or error
    return RunError(f"{path} cannot be written: {reason}. Choose another -o, or make room there.")
