"""Files that are whole or absent: checksums, writing in one move, the cache directory, locks."""

import contextlib
import errno
import hashlib
import logging
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from elmo_cli.byte_counts import format_bytes
from elmo_cli.errors import RunError

logger = logging.getLogger(__name__)

CHUNK_BYTES = 1 << 20
# What OSError.errno says where there is no room: on the disk, in a quota, in one file.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_STANDARD = {"/dev/stdout": 1, "/dev/stderr": 2}
POLL_S = 0.1  # between two tries to get a lock


def sha256(*paths: str | Path) -> str:
    """Returns the SHA-256 of the bytes of one file, or of several one after another, as 64 hex digits.

    Files are read in pieces, so that their size does not matter.

    Raises:
        OSError: For a file that cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


@contextlib.contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turns an OSError in the block into a RunError that names the path the user knows."""
    try:
        yield
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Gives a path beside the wanted one to write to, and moves it there when the block ends well.

    For libraries that want a path; the temporary name keeps the ending. When the block fails nothing is left
    and an older file stays as it was. Parent directories are made. A link is followed; a device or a pipe,
    such as ``/dev/null``, is written in place.

    Yields:
        Where to write. The block must create this file and close it.

    Raises:
        RunError: When the directory cannot be written or the disk is full.
    """
    # As it is named: where links in /dev and /proc lead to a pipe, the end of them is no path.
    named = Path(path)
    with writing(path):
        is_device = named.exists() and not named.is_file() and not named.is_dir()
    if is_device:
        with _to_a_reader(path), _naming(path, named):
            yield named
        return
    target = Path(os.path.realpath(path))
    # Short enough for every file system, whatever the length of the name; the ending stays.
    beside = target.with_name(f".tmp-{secrets.token_hex(4)}-{target.name[-100:]}")
    with writing(path):
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _naming(path, beside):
            yield beside
        with writing(path):
            synchronise(beside)
            os.replace(beside, target)
        if sys.platform != "win32":
            with contextlib.suppress(OSError):  # the file is in its place already
                synchronise(target.parent)
    finally:
        beside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_write(path: str | Path, mode: str = "w", **options: Any) -> Iterator[IO[Any]]:
    r"""Opens a file for writing that appears at its place when the block ends well; see `atomic_path`.

    Args:
        path: Where the file shall stand.
        mode: ``w`` for text, ``wb`` for bytes.
        options: As for `open`; text is UTF-8 with ``\n`` line ends unless they say otherwise.

    Yields:
        The open file.

    Raises:
        RunError: When the directory cannot be written or the disk is full.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f'mode must be "w" or "wb"; received {mode!r}')
    if mode == "w":
        options = {"encoding": "utf-8", "newline": "\n", **options}
    if (descriptor := _named_descriptor(path)) is not None:
        # What is open goes on where it stands: a file that a shell appends to keeps what it has.
        with writing(path):
            copy = os.dup(descriptor)
        with _to_a_reader(path), _naming(path, Path(path)), open(copy, mode, **options) as file:
            yield file
        return
    with atomic_path(path) as beside, open(beside, mode, **options) as file:
        yield file


def write_text(path: str | Path, text: str) -> None:
    """Writes text as UTF-8, whole or not at all; raises RunError as `atomic_path` does.

    What UTF-8 does not know, as the name of a file may hold it, is written as JSON and YAML escape it.
    """
    with atomic_write(path, errors="backslashreplace") as file:
        file.write(text)


def write_bytes(path: str | Path, content: bytes) -> None:
    """Writes bytes, whole or not at all; raises RunError as `atomic_path` does."""
    with atomic_write(path, "wb") as file:
        file.write(content)


def cache_directory() -> Path:
    """Returns where downloads and the like are kept between runs; the directory may not exist yet.

    It is ``$ELMO_CLI_CACHE`` where that is set, else ``elmo-cli`` in the platform's place for caches:
    ``$XDG_CACHE_HOME`` or ``~/.cache``, ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows.

    Raises:
        RunError: When that is in a home directory and there is none, as for a user id without a name.

    Reference:
        XDG Base Directory Specification 0.8: a relative ``$XDG_CACHE_HOME`` is ignored.
    """
    try:
        return _cache_directory()
    except RuntimeError as error:
        chosen = os.environ.get("ELMO_CLI_CACHE")
        which = f" (ELMO_CLI_CACHE is {chosen})" if chosen else ""
        raise RunError(
            f"There is no home directory to keep the cache in{which}. Set ELMO_CLI_CACHE to a directory."
        ) from error


def _cache_directory() -> Path:
    """The same; raises RuntimeError as `Path.home` does."""
    if chosen := os.environ.get("ELMO_CLI_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "elmo-cli" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "elmo-cli"
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(xdg) if os.path.isabs(xdg) else Path.home() / ".cache") / "elmo-cli"


def check_room(directory: Path, num_bytes: int, name: str) -> None:
    """Looks whether something fits on a disk, before it is written.

    Args:
        directory: On that disk; it need not exist yet.
        num_bytes: What is needed.
        name: What the message calls it.

    Raises:
        RunError: When there is less room.
    """
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    free = shutil.disk_usage(directory).free
    if num_bytes > free:
        raise RunError(
            f"{name} needs {format_bytes(num_bytes)}, and {format_bytes(free)} are free in {directory}. Make "
            "room, or choose a directory on another disk."
        )


class LockedError(RunError):
    """Another process holds a lock for longer than was to be waited for."""


@contextlib.contextmanager
def lock(path: str | Path, *, timeout_s: float | None = None, work: str | None = None) -> Iterator[None]:
    """Lets one process (and one thread) at a time into the block; others wait.

    The operating system holds the lock and lets go when the process ends, however it ends. The file
    stays, empty: removing it would let two in.

    Args:
        path: The lock file; parent directories are made.
        timeout_s: Seconds to wait; None waits for ever, 0 tries once.
        work: What the other process does that holds it, to be said while this one waits.

    Raises:
        LockedError: When the time is over.
        RunError: When the file system has no locks.
    """
    with writing(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        start, said = time.monotonic(), False
        with writing(path):
            while not _try_lock(descriptor):
                if timeout_s is not None and time.monotonic() - start >= timeout_s:
                    raise LockedError(
                        f"{path} is still held by another process after {timeout_s:g} s. Try again later."
                    )
                if not said:
                    logger.info("Waiting for another process that %s", work or f"holds {path}")
                    said = True
                time.sleep(POLL_S)
        try:
            yield
        finally:
            _unlock(descriptor)
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        """Returns whether the lock could be had at once."""
        try:
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EDEADLK):
                return False
            raise
        return True

    def _unlock(descriptor: int) -> None:
        """Lets go of the lock."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        """Returns whether the lock could be had at once."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        """Lets go of the lock, also where a forked child shares the descriptor."""
        fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def _naming(path: str | Path, beside: Path) -> Iterator[None]:
    """Turns an OSError of the file that is written, or of its full disk, into a RunError; others pass."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM or error.filename == str(beside):
            raise _cannot_write(path, error) from error
        raise


@contextlib.contextmanager
def _to_a_reader(path: str | Path) -> Iterator[None]:
    """Turns a pipe whose reader went away into a RunError.

    Who reads standard output may have seen enough; who reads what a path leads to was to have all.
    """
    try:
        yield
    except BrokenPipeError as error:
        raise RunError(f"{path}: its reader went away before everything was written.") from error


def _named_descriptor(path: str | Path) -> int | None:
    """Returns which of the process's open files a path such as ``/dev/stdout`` names; None for others."""
    if str(path) in _STANDARD:
        return _STANDARD[str(path)]
    found = re.fullmatch("(?:/dev|/proc/self)/fd/([0-9]+)", str(path))
    return int(found[1]) if found else None


def synchronise(path: Path) -> None:
    """Makes the operating system bring a file, or the entries of a directory, to the disk.

    Raises:
        OSError: When it cannot; file systems that have nothing of the kind are passed over.
    """
    # Windows refuses to synchronise what is open for reading only.
    descriptor = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        synchronise_open(descriptor)
    finally:
        os.close(descriptor)


def synchronise_open(descriptor: int) -> None:
    """Does what `synchronise` does for a file that is open; its buffer must have been flushed."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have none
            raise


def _cannot_write(path: str | Path, error: OSError) -> RunError:
    """Returns the error for a path that cannot be written."""
    return RunError(f"{path} cannot be written: {error.strerror}. Choose another place, or make it writable.")
