"""One SQLite file of keys and values for several processes: a value is there whole, or it is not there."""

import contextlib
import logging
import math
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypeVar

from elmo_cli.byte_counts import format_bytes

logger = logging.getLogger(__name__)
Item = TypeVar("Item")

FORMAT_VERSION = 1  # of the tables below; a file of another version is not touched
LOCK_TIMEOUT_S = 20.0  # wait for another process; ours hold a lock for less than a second, but on a busy disk
PORTION_BYTES = 4 << 20  # read or written at once: far more than a page, little against memory

_APPLICATION_ID = 0x454C4D6F  # "ELMo" in ASCII, in the file's header
_PAGE_BYTES = 4096  # larger pages are faster, but would be a quarter empty with vectors of 12 kB
_PIECE_KEYS = 16384  # looked up and marked at once
_MIN_EVICTED, _MAX_EVICTED = 16, 1024  # entries, at once
JOURNAL_BYTES = 8 << 20  # room for what the journal of one transaction takes
_SCHEMA = (
    # `session` is the last one that used the entry: the order in which entries are evicted.
    "CREATE TABLE entries "
    "(id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, session INTEGER NOT NULL)",
    # Values stand apart, so that finding and marking entries reads and writes little.
    "CREATE TABLE contents (id INTEGER PRIMARY KEY, checksum INTEGER NOT NULL, content BLOB NOT NULL)",
    "CREATE TRIGGER removal AFTER DELETE ON entries BEGIN DELETE FROM contents WHERE id = old.id; END",
    "CREATE TABLE clock (session INTEGER NOT NULL)",
    "INSERT INTO clock VALUES (0)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT_VERSION}",
)


class ForeignFileError(sqlite3.DatabaseError):
    """Something else stands where the cache should."""


class CacheFile:
    """Values under keys of 32 bytes in a file of bounded size; the least recently used are evicted.

    Recency is counted in sessions, for the time of day may jump: the first use of a CacheFile takes the next
    number, and what bears this number or a later one is never evicted by it.

    It is SQLite with a rollback journal, not with a write-ahead log: that works on network file systems too,
    writes each value once instead of twice, and the size of the files can be bounded. A process that is
    killed leaves a journal, from which the next one restores the last whole state.

    Every method raises sqlite3.Error when the file is damaged, the disk is full or not writable, or another
    process holds a lock for longer than LOCK_TIMEOUT_S; where damage reaches the message, UnicodeDecodeError.

    Args:
        path: The file; made when absent.
        max_bytes: Bound for the file and its journal together.

    Raises:
        ForeignFileError: When the file is something else than a cache of this format.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self._max_pages = (max_bytes - min(JOURNAL_BYTES, max_bytes // 8)) // _PAGE_BYTES
        self._session: int | None = None
        self._connection = sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, isolation_level=None)
        self._connection.text_factory = bytes  # there is text only where damage made it, maybe no Unicode
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Closes the file; it cannot be used afterwards."""
        with contextlib.suppress(sqlite3.Error):  # such as that it is another thread's
            self._connection.close()

    @property
    def num_bytes(self) -> int:
        """Bytes on the disk, the journal included."""
        num_bytes = 0
        for path in _files(self.path):
            with contextlib.suppress(FileNotFoundError):
                num_bytes += path.stat().st_size
        return num_bytes

    def count(self, keys: Sequence[bytes]) -> int:
        """Returns for how many of the keys there is a value; marks nothing as used."""
        return sum(len(self._find(piece)) for _, piece in _pieces(keys, _PIECE_KEYS))

    def read(self, keys: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        """Yields position and value of each key that is there, and marks these as used.

        A value that does not fit its checksum counts as absent and is removed. No lock is held in between.
        """
        for start, piece in _pieces(keys, _PIECE_KEYS):
            found = self._find(piece)
            self._mark([entry for entry, _, older in found if older])
            absent: list[int] = []
            waiting = iter(found)
            while fetched := self._fetch(waiting, piece):
                for entry, position, value in fetched:
                    if value is None:
                        absent.append(entry)
                    else:
                        yield start + position, value
            self._remove(absent)

    def store(self, items: Sequence[tuple[bytes, memoryview]]) -> bool:
        """Stores values, all or none; a key that is there already keeps its value and is marked as used.

        Args:
            items: Keys and values, each value flat bytes, all together about PORTION_BYTES.

        Returns:
            False when there is no room: everything else was used by this session or later ones.
        """
        session = self._own_session()
        if not self._make_room(sum(room(len(value)) for _, value in items)):
            return False
        execute = self._connection.execute
        with self._transaction("IMMEDIATE"):
            for key, value in items:
                new = execute("INSERT OR IGNORE INTO entries (key, session) VALUES (?, ?)", (key, session))
                if new.rowcount:
                    row = new.lastrowid, _checksum(key, value), value
                    execute("INSERT INTO contents (id, checksum, content) VALUES (?, ?, ?)", row)
                else:
                    execute("UPDATE entries SET session = max(session, ?) WHERE key = ?", (session, key))
        return True

    def fit(self) -> None:
        """Evicts and shrinks until the file is within its bound, where an older session left it larger."""
        if self._pragma("page_count") <= self._max_pages:
            return
        logger.info("Making %s smaller, to %s", self.path, format_bytes(self._max_pages * _PAGE_BYTES))
        self._make_room(0)
        while self._pragma("page_count") > self._max_pages and self._pragma("freelist_count"):
            # In steps, so that others get their turn. Only a script goes on after the first of its pages.
            self._connection.executescript(f"PRAGMA incremental_vacuum({PORTION_BYTES // _PAGE_BYTES})")

    def _prepare(self) -> None:
        """Sets the connection up, and the tables in a new file."""
        for setting in (
            f"page_size = {_PAGE_BYTES}",
            "auto_vacuum = INCREMENTAL",  # these two are for a new file
            "journal_mode = TRUNCATE",
            "synchronous = NORMAL",
            "cache_size = -16384",  # KiB, so that a transaction fits and is written in one go
        ):
            self._connection.execute(f"PRAGMA {setting}")
        if not self._pragma("schema_version"):
            with self._transaction("IMMEDIATE"):
                if not self._pragma("schema_version"):  # no other process was faster
                    for statement in _SCHEMA:
                        self._connection.execute(statement)
        identity = self._pragma("application_id"), self._pragma("user_version")
        if identity != (_APPLICATION_ID, FORMAT_VERSION):
            raise ForeignFileError(f"{self.path} is no cache of format {FORMAT_VERSION}")

    def _find(self, keys: Sequence[bytes]) -> list[tuple[int, int, bool]]:
        """Finds the keys that are there, in the order of the file.

        Returns:
            Entry, position of the key, and whether no session from this one on has used it.
        """
        found = []
        session = math.inf if self._session is None else self._session
        with self._transaction("DEFERRED"):
            for position, key in enumerate(keys):
                select = "SELECT id, session < ? FROM entries WHERE key = ?"
                for entry, older in self._connection.execute(select, (session, key)):
                    found.append((entry, position, bool(older)))
        return sorted(found)

    def _fetch(
        self, waiting: Iterator[tuple[int, int, bool]], keys: Sequence[bytes]
    ) -> list[tuple[int, int, bytes | None]]:
        """Returns entry, position and value of the next ones, None for a value that is damaged or gone."""
        fetched: list[tuple[int, int, bytes | None]] = []
        num_bytes = 0
        with self._transaction("DEFERRED"):
            for entry, position, _ in waiting:
                select = "SELECT checksum, content FROM contents WHERE id = ?"
                checksum, value = self._connection.execute(select, (entry,)).fetchone() or (None, None)
                # Where the file is damaged a column may be of any type.
                if not isinstance(value, bytes) or checksum != _checksum(keys[position], value):
                    value = None
                fetched.append((entry, position, value))
                num_bytes += len(value or b"")
                if num_bytes >= PORTION_BYTES:
                    break
        return fetched

    def _mark(self, entries: Sequence[int]) -> None:
        """Notes that entries are used by this session."""
        if entries:
            session = self._own_session()
            rows = [(session, entry, session) for entry in entries]
            with self._transaction("IMMEDIATE"):
                update = "UPDATE entries SET session = ? WHERE id = ? AND session < ?"
                self._connection.executemany(update, rows)

    def _remove(self, entries: Sequence[int], *, before: float = math.inf) -> None:
        """Removes entries, but for those that session ``before`` or a later one has used."""
        if entries:
            rows = [(entry, before) for entry in entries]
            with self._transaction("IMMEDIATE"):
                self._connection.executemany("DELETE FROM entries WHERE id = ? AND session < ?", rows)

    def _make_room(self, num_bytes: int) -> bool:
        """Evicts, when so many bytes do not fit, until they do and some more; returns whether they fit."""
        max_used = self._max_pages - math.ceil(num_bytes / _PAGE_BYTES)
        goal = max_used if self._used_pages() <= max_used else max_used - self._max_pages // 16
        session = self._own_session()
        while (used := self._used_pages()) > goal:
            (num_entries,) = self._connection.execute("SELECT count(*) FROM entries").fetchone()
            # As many as there would be in the pages that are too many, were all of one size.
            limit = max(_MIN_EVICTED, math.ceil(num_entries * (used - goal) / used))
            oldest = "SELECT id FROM entries WHERE session < ? ORDER BY session, id LIMIT ?"
            victims = [entry for (entry,) in self._connection.execute(oldest, (session, limit)).fetchall()]
            if not victims:
                break
            for _, portion in _pieces(victims, _MAX_EVICTED):
                self._remove(portion, before=session)
                if self._used_pages() <= goal:
                    break
        return used <= max_used

    def _used_pages(self) -> int:
        return self._pragma("page_count") - self._pragma("freelist_count")

    def _own_session(self) -> int:
        """Returns the number of this session, a new one when it is asked for the first time."""
        if self._session is None:
            with self._transaction("IMMEDIATE"):
                self._connection.execute("UPDATE clock SET session = session + 1")
                latest = self._connection.execute("SELECT coalesce(max(session), 0) FROM clock")
                (self._session,) = latest.fetchone()
        return self._session

    def _pragma(self, name: str) -> int:
        """Returns the value of one of SQLite's PRAGMAs."""
        (value,) = self._connection.execute(f"PRAGMA {name}").fetchone()
        return int(value)

    @contextlib.contextmanager
    def _transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"]) -> Iterator[None]:
        """Makes the block one transaction: DEFERRED reads one state of the file, IMMEDIATE is for writing."""
        with self._connection:
            self._connection.execute(f"BEGIN {kind}")
            yield


def room(num_bytes: int) -> int:
    """Returns the bytes of the file that a value of so many takes, with key and upkeep; a little too many."""
    return num_bytes + num_bytes // 16 + 256


def discard(path: Path) -> None:
    """Removes a cache that is not used any more, if it can be; a file that is no cache stays."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            (identity,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error:
        return
    if identity == _APPLICATION_ID:
        for file in _files(path):
            with contextlib.suppress(OSError):  # on Windows, while another process has it open
                file.unlink(missing_ok=True)


def _files(path: Path) -> tuple[Path, Path]:
    """Returns the paths of a cache and of its journal."""
    return path, path.with_name(f"{path.name}-journal")


def _checksum(key: bytes, value: bytes | memoryview) -> int:
    """Returns a checksum that also tells when a value stands under the wrong key."""
    return zlib.crc32(value, zlib.crc32(key))


def _pieces(items: Sequence[Item], length: int) -> Iterator[tuple[int, Sequence[Item]]]:
    """Yields the items in pieces, each with the position of its first item."""
    for start in range(0, len(items), length):
        yield start, items[start : start + length]
