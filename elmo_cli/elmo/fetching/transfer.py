"""One connection's share of a download: what a part file lacks, appended."""

import http.client
import io
import re
import string
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from elmo_cli import __version__, files
from elmo_cli.byte_counts import format_bytes
from elmo_cli.elmo.fetching.checksums import sent_checksum
from elmo_cli.elmo.fetching.connection import open_url
from elmo_cli.errors import SourceError
from elmo_cli.progress import track

WAY_OUT = "Or download it with a browser, on any machine, and give the file's path as --elmo."

_MB = 10**6


class UnavailableError(SourceError):
    """A server does not give a file.

    Args:
        what: What happened, at which address.
        *hints: What else may be said where it is not one failure among several.

    Attributes:
        what: The same.
    """

    def __init__(self, what: str, *hints: str) -> None:
        super().__init__(" ".join((what, *hints, WAY_OUT)))
        self.what = what


@dataclass(frozen=True)
class Patience:
    """How long a download waits and how often it tries again.

    Args:
        timeout_s: Seconds without a byte after which a connection counts as dead.
        num_retries: Failures in a row, none of which brought much, before giving up.
        pause_s: Seconds before the first new try; doubled with each failure in a row.
        max_pause_s: Longest pause, also when the server asks for a longer one: then we give up.
        min_bytes_per_s: A connection that brings less, over `timeout_s`, counts as dead, too.
    """

    timeout_s: float = 30.0
    num_retries: int = 4
    pause_s: float = 1.0
    max_pause_s: float = 120.0
    min_bytes_per_s: float = 1000.0

    @property
    def min_bytes(self) -> float:
        """Fewest bytes that count as getting on."""
        return self.timeout_s * self.min_bytes_per_s


class CutError(Exception):
    """A transfer ended before its time; the next try goes on where it stopped."""


@dataclass(frozen=True)
class Transfer:
    """What all connections of one download have in common."""

    url: str
    part: Path
    patience: Patience
    max_bytes: int
    num_copies: int

    def run(self) -> None:
        """Asks over one connection for what the part file lacks and appends it.

        Raises:
            CutError: When fewer bytes came than were announced, or too slowly.
            SourceError: When what comes is not wanted.
            RunError: When the disk is full.
            OSError, http.client.HTTPException: As urllib raises them.
        """
        num_present, note = part_size(self.part), _Note.read(self.part)
        headers = {"User-Agent": f"elmo-cli/{__version__}", "Accept-Encoding": "identity"}
        if num_present:
            headers["Range"] = f"bytes={num_present}-"
            if note.validator:
                headers["If-Range"] = note.validator
        # In paths letters beyond ASCII stand as the bytes of UTF-8 (RFC 3987, 3.1); what is encoded stays.
        parts = urlsplit(self.url)
        path, query = (quote(part, safe=string.punctuation + " ") for part in (parts.path, parts.query))
        url = urlunsplit(parts._replace(path=path, query=query))
        request = urllib.request.Request(url, headers=headers)
        with open_url(request, self.patience.timeout_s) as response:
            if response.status != 206:
                if num_present and "html" in response.headers.get("Content-Type", ""):
                    raise UnavailableError(
                        f"{self.url} is now answered with a web page, maybe one that asks for a login. "
                        f"What came before is kept."
                    )
                num_present = 0  # the server gives the whole, from the start
            elif "Content-Range" not in response.headers:
                raise CutError("the connection ended in the head of the answer")
            total = _total(response, num_present)
            if response.status == 206 and not self._goes_on(response, num_present, total, note):
                discard(self.part)
                raise CutError("the server gave another part than was asked for")
            if total is not None:
                self._check_total(total, num_present)
            if not num_present:
                discard(self.part)  # never a part with the note of another version, when killed here
                _Note.of(response.headers, total).write(self.part)
            blocks = track(
                self._copy(response, num_present),
                total=None if total is None else -(-total // _MB),
                done=num_present // _MB,
                description=f"downloading {self.url}",
                unit="MB",
            )
            for _ in blocks:
                pass
            sent = sent_checksum(response.headers)
        if total is None and not part_size(self.part):
            raise CutError("nothing came")
        if total is not None and part_size(self.part) != total:
            raise CutError(f"the connection ended after {part_size(self.part):,} of {total:,} bytes")
        if sent is not None and not sent.fits(self.part):
            discard(self.part)
            raise UnavailableError(
                f"{self.url} came damaged: its {sent.algorithm.upper()} is not the one the server names. "
                f"Try again."
            )

    def _copy(self, response: http.client.HTTPResponse, num_present: int) -> Iterator[None]:
        """Appends a response to the part file, yielding once for each whole megabyte."""
        num_bytes, since, last = num_present, time.monotonic(), num_present
        with self.part.open("ab" if num_present else "wb", buffering=0) as file:
            # read1 returns what is there; read would wait for a whole block, for ever if bytes trickle in.
            while block := response.read1(_MB):
                with files.writing(self.part):
                    _write_whole(file, block)
                num_bytes += len(block)
                if num_bytes > self.max_bytes:
                    discard(self.part)
                    raise UnavailableError(
                        f"{self.url} was refused: no end after {format_bytes(self.max_bytes)}."
                    )
                for _ in range((num_bytes - len(block)) // _MB, num_bytes // _MB):
                    yield
                if (passed_s := time.monotonic() - since) >= self.patience.timeout_s:
                    if num_bytes - last < self.patience.min_bytes:
                        raise CutError(f"only {num_bytes - last:,} bytes came in {passed_s:.0f} s")
                    since, last = time.monotonic(), num_bytes
            # A whole file is soon moved to its place, where a crash must not leave it empty.
            with files.writing(self.part):
                files.synchronise_open(file.fileno())

    def _check_total(self, total: int, num_present: int) -> None:
        """Raises SourceError when a file is longer than wanted, RunError when it does not fit on the disk."""
        if total > self.max_bytes:
            raise UnavailableError(
                f"{self.url} was refused: it has {format_bytes(total)}, and no more than "
                f"{format_bytes(self.max_bytes)} are expected."
            )
        files.check_room(self.part.parent, self.num_copies * total - num_present, self.url)

    @staticmethod
    def _goes_on(
        response: http.client.HTTPResponse, num_present: int, total: int | None, note: "_Note"
    ) -> bool:
        """Whether a partial answer begins where the part ends and, as far as can be seen, is of its file."""
        same = note.total is None or total is None or note.total == total
        return same and response.headers["Content-Range"].startswith(f"bytes {num_present}-")


@dataclass(frozen=True)
class _Note:
    """What tells the version of a file that a part belongs to from others; noted beside the part.

    Args:
        validator: Its ETag or date; empty where the server gave none that is good for it.
        total: Its number of bytes, where that is known.
    """

    validator: str = ""
    total: int | None = None

    @classmethod
    def of(cls, headers: http.client.HTTPMessage, total: int | None) -> "_Note":
        """Makes the note from the headers of an answer with the whole file."""
        tag = headers.get("ETag", "")
        # Only a strong validator can promise that two parts are of the same file (RFC 9110, 13.1.5).
        good = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")
        return cls(" ".join(good.split()), total)

    @classmethod
    def read(cls, part: Path) -> "_Note":
        """Reads the note beside a part, if there is one."""
        try:
            validator, _, total = _note_path(part).read_text(encoding="utf-8").partition("\n")
        except (FileNotFoundError, UnicodeDecodeError):
            return cls()
        return cls(validator, int(total) if re.fullmatch("[0-9]+", total) else None)

    def write(self, part: Path) -> None:
        """Writes the note beside a part."""
        _note_path(part).write_text(f"{self.validator}\n{self.total or ''}", encoding="utf-8")


def _write_whole(file: io.RawIOBase | io.FileIO, block: bytes) -> None:
    """Writes a block without a buffer; where a disk is nearly full, the system may take it in pieces."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


def discard(part: Path) -> None:
    """Removes a part file and what was noted about it."""
    part.unlink(missing_ok=True)
    _note_path(part).unlink(missing_ok=True)


def part_size(path: Path) -> int:
    """Returns the number of bytes of a file, 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _note_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.validator")


def _total(response: http.client.HTTPResponse, num_present: int) -> int | None:
    """The number of bytes of the whole file, as far as an answer tells it."""
    if response.status == 206:
        # A server may send less than was asked for (RFC 9110, 15.3.7); the rest is asked for then.
        whole = re.search(r"/([0-9]{1,18})$", response.headers["Content-Range"].strip())
        if whole:
            return int(whole[1])
    announced = response.headers.get("Content-Length") or ""
    return num_present + int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else None
