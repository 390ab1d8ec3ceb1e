"""Embeddings kept on disk between runs: what was embedded once need not be embedded again."""

import contextlib
import logging
import os
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

from elmo_cli import files
from elmo_cli.byte_counts import format_bytes
from elmo_cli.elmo.cache_file import (
    FORMAT_VERSION,
    JOURNAL_BYTES,
    PORTION_BYTES,
    CacheFile,
    ForeignFileError,
    discard,
    room,
)
from elmo_cli.errors import RunError

logger = logging.getLogger(__name__)

DEFAULT_BYTES = 4 * 10**9  # 325,000 sentences of the original ELMo pooled in half precision: weeks of use
MIN_BYTES = 10**6  # below this the upkeep outweighs what is kept

_FREE_SHARE = 4  # by default the cache takes at most this part (1/4) of the disk space that it finds free
_MAX_VALUE_SHARE = 8  # a value of more than this part (1/8) of the bound is not worth what it would push out
_MAX_VALUE_BYTES = 1 << 29  # SQLite takes no value of a billion bytes
_UNUSABLE = (sqlite3.Error, UnicodeDecodeError, OSError, RunError)
_SPOILED = (
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,  # nothing that we store is
)


class EmbeddingCache:
    """Values on disk that all runs of a user share, of bounded size; the least recently used go first.

    Values are bytes under the keys of a `KeySpace`, which name all that a value depends on: nothing ever
    needs invalidating. Several processes may read and write at once. A process may be killed at any moment:
    what `write` returned from is kept, what it did not finish is absent. A value that was damaged on the disk
    counts as absent.

    A cache that fails never fails the run. A file that is damaged, or none of ours, is followed by a new one;
    when the disk is full, nothing can be written there, or another process blocks it, the cache turns itself
    off: it finds nothing and keeps nothing. Either is said once, as a warning.

    Use it as a context manager or close it, in the thread that made it; a forked process opens its own.

    Args:
        directory: Where the files are; by default ``embeddings`` in `files.cache_directory`.
        max_bytes: Bound for the bytes on the disk; several processes that write at once may exceed it, for
            that long, by a few megabytes. 0 turns the cache off. By default DEFAULT_BYTES, or a quarter of
            the disk space that is free or taken by the cache where that is less; never less than it has.

    Raises:
        ValueError: When ``max_bytes`` is negative.
    """

    def __init__(self, directory: str | Path | None = None, *, max_bytes: int | None = None) -> None:
        if max_bytes is not None and max_bytes < 0:
            raise ValueError(f"max_bytes must be at least 0, not {max_bytes}")
        self.max_bytes = max_bytes or 0
        self._file: CacheFile | None = None
        self._number = 0  # in the name of the file; a spoiled file is followed by one with the next number
        self._replaced = self._full = False
        self._process = os.getpid()
        self._inherited: CacheFile | None = None  # the parent's, in a forked process: kept, but not touched
        self._place = ""
        if max_bytes == 0:
            return
        try:
            self.directory = Path(directory or files.cache_directory() / "embeddings").absolute()
            self._place = f" in {_short(self.directory)}"
            self.directory.mkdir(parents=True, exist_ok=True)
            self.max_bytes = _default_bytes(self.directory) if max_bytes is None else max_bytes
            if self.max_bytes >= MIN_BYTES:
                self._open()
            elif self.max_bytes:
                allowed, least = format_bytes(self.max_bytes), format_bytes(MIN_BYTES)
                self._turn_off(f"{allowed} is all it may take, and {least} the least it needs")
        except _UNUSABLE as error:
            self._turn_off(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_on(self) -> bool:
        """Whether values are found and kept; false when turned off or closed."""
        return self._file is not None

    @property
    def num_bytes(self) -> int:
        """Bytes that the cache takes on the disk; 0 when it is off."""
        with self._tolerating() as file:
            return file.num_bytes if file else 0
        return 0

    def count(self, keys: Sequence[bytes]) -> int:
        """Returns for how many of the keys there is a value, as far as can be told without reading it."""
        with self._tolerating() as file:
            return file.count(keys) if file else 0
        return 0

    def read(self, keys: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        """Finds values.

        Args:
            keys: From a `KeySpace`; one that occurs twice is answered twice.

        Yields:
            The position of each key whose value is there, and the value, in the order that is fastest.
        """
        with self._tolerating() as file:
            if file:
                yield from file.read(keys)

    def write(self, items: Iterable[tuple[bytes, bytes | memoryview]]) -> None:
        """Keeps values; when this returns they outlast the process, however it ends.

        Nothing that this session has read or written is evicted for them: when there is nothing else left,
        the rest of them is not kept, which is said once. A key that has a value keeps it. A value of more
        than an eighth of the bound is not kept.

        Args:
            items: Keys and values; a memoryview must be contiguous, and must not change before this returns.
                Not looked at when the cache is off.
        """
        most = min(_MAX_VALUE_BYTES, self.max_bytes // _MAX_VALUE_SHARE)
        for portion in _portions(items if self.is_on else (), min(PORTION_BYTES, self.max_bytes // 16)):
            with self._tolerating() as file:
                if file is None or self._full:
                    return
                self._full = not file.store([(key, value) for key, value in portion if len(value) <= most])
            if self._full:
                logger.warning(
                    "The cache of embeddings%s is full (%s), and all in it is in use; more is not kept for "
                    "the next run. Allow it more bytes to keep all.",
                    self._place,
                    format_bytes(self.max_bytes),
                )

    def describe_growth(self, num_values: int, value_bytes: int) -> str:
        """Says in words what keeping values will mean.

        Args:
            num_values: How many are going to be written.
            value_bytes: Bytes of each.

        Returns:
            One clause with the bytes that will be added, the place, and the bytes taken and allowed there.
        """
        if not self.is_on:
            return "The cache of embeddings is off; nothing is kept for the next run"
        growth, now = num_values * room(value_bytes), self.num_bytes
        taken = f"now {format_bytes(now)} of at most {format_bytes(self.max_bytes)}"
        if growth > self.max_bytes:
            return f"About {format_bytes(growth)} are more than the cache{self._place} can hold ({taken})"
        evicted = "; what was not used for longest makes room" if now + growth > self.max_bytes else ""
        return f"About {format_bytes(growth)} will be added to the cache{self._place} ({taken}){evicted}"

    def close(self) -> None:
        """Brings the files within their bound and closes them; the cache is off afterwards."""
        with self._tolerating() as file:
            if file:
                file.fit()
        if self._file:
            self._file.close()
            self._file = None

    def _open(self, *, after: int = 0) -> None:
        """Opens the newest file, or begins one with a number above ``after``."""
        numbers = _numbers(self.directory)
        self._number = max([after + 1, *numbers])
        try:
            self._file = CacheFile(_path(self.directory, self._number), max_bytes=self.max_bytes)
        except _UNUSABLE as error:
            self._begin_anew(error)
        for number in numbers:
            if number < self._number:
                discard(_path(self.directory, number))

    def _begin_anew(self, error: Exception) -> None:
        """Leaves a spoiled file for a new one, once; raises the error when a new file would not help."""
        if self._replaced or not _is_spoiled(error):
            raise error
        self._replaced, self._full = True, False
        logger.warning(
            "%s cannot be used as cache of embeddings any more: %s. A new one is begun beside it; "
            "what it held is embedded again when it is needed.",
            _short(_path(self.directory, self._number)),
            error,
        )
        self._open(after=self._number)

    def _turn_off(self, reason: object) -> None:
        """Says why there is no cache from now on."""
        if self._file:
            self._file.close()
            self._file = None
        logger.warning("The cache of embeddings%s is off for this run: %s", self._place, reason)

    @contextlib.contextmanager
    def _tolerating(self) -> Iterator[CacheFile | None]:
        """Gives the file, None when off; an error in the block costs the file or the cache, never the run."""
        file = self._file_of_this_process()
        try:
            yield file
        except _UNUSABLE as error:
            if file is None or file is not self._file:
                return  # it was closed while a reader was under way
            file.close()
            self._file = None
            try:
                self._begin_anew(error)
            except _UNUSABLE as lasting:
                self._turn_off(lasting)

    def _file_of_this_process(self) -> CacheFile | None:
        """Opens the file anew after a fork: a child must neither use nor close a connection to SQLite."""
        if os.getpid() != self._process:
            self._process, self._inherited, self._file = os.getpid(), self._file, None
            if self._inherited:
                try:
                    self._open()
                except _UNUSABLE as error:
                    self._turn_off(error)
        return self._file


def _default_bytes(directory: Path) -> int:
    """Returns the bound for a cache whose user named none."""
    free, taken = shutil.disk_usage(directory).free, 0
    for path in directory.glob("v*.sqlite"):
        with contextlib.suppress(FileNotFoundError):  # another process has just removed it
            taken += path.stat().st_size
    # What a larger bound once allowed is not thrown away by a command that names none.
    bound = min(DEFAULT_BYTES, (free + taken) // _FREE_SHARE)
    return bound if taken <= bound else taken + JOURNAL_BYTES


def _path(directory: Path, number: int) -> Path:
    """Returns where the file of a number is; other formats have other names."""
    return directory / f"v{FORMAT_VERSION}-{number}.sqlite"


def _numbers(directory: Path) -> list[int]:
    """Returns the numbers of the files of this format."""
    name = re.compile(rf"v{FORMAT_VERSION}-([0-9]+)\.sqlite")
    return [int(match[1]) for path in directory.iterdir() if (match := name.fullmatch(path.name))]


def _is_spoiled(error: Exception) -> bool:
    """Returns whether an error says that this very file is damaged, foreign or gone from its place."""
    # Python cannot decode the message where a damaged name stands in it.
    if isinstance(error, ForeignFileError | UnicodeDecodeError):
        return True
    code = getattr(error, "sqlite_errorcode", 0)
    # The lowest byte is the kind. Our statements are right, so what is wrong with them is wrong in the file.
    return code & 0xFF in _SPOILED or code == sqlite3.SQLITE_READONLY_DBMOVED


def _portions(
    items: Iterable[tuple[bytes, bytes | memoryview]], portion_bytes: int
) -> Iterator[list[tuple[bytes, memoryview]]]:
    """Yields the items in lists of about so many bytes, the values as flat bytes."""
    portion: list[tuple[bytes, memoryview]] = []
    num_bytes = 0
    for key, value in items:
        portion.append((key, memoryview(value).cast("B")))
        num_bytes += room(portion[-1][1].nbytes)
        if num_bytes >= portion_bytes:
            yield portion
            portion, num_bytes = [], 0
    if portion:
        yield portion


def _short(path: Path) -> str:
    """Returns a path as people write it, with ~ for the home directory."""
    with contextlib.suppress(RuntimeError, ValueError):
        return str("~" / path.relative_to(Path.home()))
    return str(path)
