"""Bytes from the web that all arrive: timeouts, retries, resuming, and messages that help."""

import contextlib
import email.utils
import http.client
import logging
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elmo_cli import __version__, files
from elmo_cli.byte_counts import format_bytes
from elmo_cli.elmo.checksums import sent_checksum
from elmo_cli.elmo.connection import CERTIFICATE_VARIABLES, open_url
from elmo_cli.errors import SourceError
from elmo_cli.progress import track

logger = logging.getLogger(__name__)

WAY_OUT = "Or download it with a browser, on any machine, and give the file's path as --elmo."
MAX_BYTES = 20 * 10**9  # more than any ELMo has

_MB = 10**6
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that may be gone a moment later


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


class _CutError(Exception):
    """A transfer ended before its time; the next try goes on where it stopped."""


def download(
    url: str, part: Path, patience: Patience, *, max_bytes: int = MAX_BYTES, num_copies: int = 1
) -> None:
    """Brings the whole of a URL into a file, over as many connections as it takes.

    What the file holds already, from an earlier call that failed or was killed, is not asked for again.

    Args:
        url: http or https.
        part: The file; whole when this returns, else kept for the next call.
        patience: Timeout and retries.
        max_bytes: A longer file is refused.
        num_copies: How often it must fit on the disk.

    Raises:
        SourceError: When the server refuses, cannot be reached, or fails more often than patience lasts, or
            the checksum that it sent does not fit.
        RunError: When there is no room.
    """
    transfer = _Transfer(url, part, patience, max_bytes, num_copies)
    num_failures, most_bytes = 0, _size(part)
    while True:
        asked_pause_s: float | None = None
        try:
            transfer.run()
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416 and _size(part):
                if error.headers.get("Content-Range", "").endswith(f"*/{_size(part)}"):
                    return  # nothing follows: the part was whole already
                discard(part)  # it belongs to a file that has changed
            elif error.code not in _PASSING:
                raise _refused(url, error) from error
            reason: Exception = error
            asked_pause_s = _retry_after_s(error.headers.get("Retry-After", ""))
        except http.client.InvalidURL as error:
            raise SourceError(f"{url} is not a valid address: {error}.") from error
        except (
            _CutError,
            TimeoutError,
            ConnectionError,
            http.client.HTTPException,
            ssl.SSLEOFError,
        ) as error:
            reason = error
        except urllib.error.URLError as error:
            if not isinstance(error.reason, TimeoutError | ConnectionResetError):
                raise _unreachable(url, error) from error
            reason = error
        got_on = _size(part) - most_bytes >= min(patience.min_bytes, _MB)
        num_failures = 0 if got_on else num_failures + 1
        most_bytes = max(most_bytes, _size(part)) if got_on else most_bytes
        if num_failures > patience.num_retries:
            raise UnavailableError(
                f"{url} could not be downloaded, {num_failures} times in a row: "
                f"{str(reason) or 'timed out'}. The same command later goes on after "
                f"{_size(part):,} bytes."
            ) from reason
        pause_s = min(patience.pause_s * 2 ** max(0, num_failures - 1), patience.max_pause_s)
        if asked_pause_s is not None:
            if asked_pause_s > patience.max_pause_s:
                raise UnavailableError(
                    f"{url}: the server asks to come back in {asked_pause_s:,.0f} s ({reason})."
                ) from reason
            pause_s = max(pause_s, asked_pause_s)
        logger.info("Download of %s: %s; trying again in %.0f s", url, str(reason) or "timed out", pause_s)
        time.sleep(pause_s)


def discard(part: Path) -> None:
    """Removes a part file and what was noted about it."""
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Transfer:
    """What all connections of one download have in common."""

    url: str
    part: Path
    patience: Patience
    max_bytes: int
    num_copies: int

    def run(self) -> None:
        """Asks over one connection for what the part file lacks and appends it.

        Raises:
            _CutError: When fewer bytes came than were announced, or too slowly.
            SourceError: When what comes is not wanted.
            OSError, http.client.HTTPException: As urllib raises them.
        """
        num_present, validator = _size(self.part), _validator(self.part)
        headers = {"User-Agent": f"elmo-cli/{__version__}", "Accept-Encoding": "identity"}
        if num_present:
            headers["Range"] = f"bytes={num_present}-"
            with contextlib.suppress(FileNotFoundError):
                headers["If-Range"] = validator.read_text()
        request = urllib.request.Request(self.url, headers=headers)
        with open_url(request, self.patience.timeout_s) as response:
            if response.status != 206:
                if num_present and "html" in response.headers.get("Content-Type", ""):
                    raise UnavailableError(
                        f"{self.url} is now answered with a web page, maybe one that asks for a login. "
                        f"What came before is kept."
                    )
                num_present = 0  # the server gives the whole, from the start
            elif "Content-Range" not in response.headers:
                raise _CutError("the connection ended in the head of the answer")
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {num_present}-"):
                discard(self.part)
                raise _CutError("the server gave another part than was asked for")
            if not num_present:
                self._note_validator(response.headers)
            announced = response.headers.get("Content-Length") or ""
            total = num_present + int(announced) if re.fullmatch(r"[0-9]{1,18}", announced) else None
            if total is not None:
                self._check_total(total, num_present)
            blocks = self._copy(response, num_present)
            if total is not None:
                blocks = track(
                    blocks,
                    total=-(-total // _MB),
                    done=num_present // _MB,
                    description=f"downloading {self.url}",
                    unit="MB",
                )
            for _ in blocks:
                pass
            sent = sent_checksum(response.headers)
        if total is None and not _size(self.part):
            raise _CutError("nothing came")
        if total is not None and _size(self.part) != total:
            raise _CutError(f"the connection ended after {_size(self.part):,} of {total:,} bytes")
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
                file.write(block)
                num_bytes += len(block)
                if num_bytes > self.max_bytes:
                    raise UnavailableError(
                        f"{self.url} was refused: no end after {format_bytes(self.max_bytes)}."
                    )
                for _ in range((num_bytes - len(block)) // _MB, num_bytes // _MB):
                    yield
                if (passed_s := time.monotonic() - since) >= self.patience.timeout_s:
                    if num_bytes - last < self.patience.min_bytes:
                        raise _CutError(f"only {num_bytes - last:,} bytes came in {passed_s:.0f} s")
                    since, last = time.monotonic(), num_bytes
            os.fsync(
                file.fileno()
            )  # a whole file is soon moved to its place, where a crash must not empty it

    def _check_total(self, total: int, num_present: int) -> None:
        """Raises SourceError when a file is longer than wanted, RunError when it does not fit on the disk."""
        if total > self.max_bytes:
            raise UnavailableError(
                f"{self.url} was refused: it has {format_bytes(total)}, and no more than "
                f"{format_bytes(self.max_bytes)} are expected."
            )
        files.check_room(self.part.parent, self.num_copies * total - num_present, self.url)

    def _note_validator(self, headers: http.client.HTTPMessage) -> None:
        """Notes what tells this version of the file from others."""
        tag = headers.get("ETag", "")
        # Only a strong validator can promise that two parts are of the same file (RFC 9110, 13.1.5).
        good = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
        self.part.unlink(missing_ok=True)  # never two versions with one validator, when killed here
        _validator(self.part).unlink(missing_ok=True)
        if good:
            _validator(self.part).write_text(good)


def _validator(part: Path) -> Path:
    """Where the ETag or date of the file that a part belongs to is noted."""
    return part.with_name(f"{part.name}.validator")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _retry_after_s(text: str) -> float | None:
    """The pause a server asks for, as seconds or as a date (RFC 9110, 10.2.3)."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _unreachable(url: str, error: urllib.error.URLError) -> UnavailableError:
    """What to say where no connection comes about."""
    if isinstance(error.reason, ssl.SSLError):
        return UnavailableError(
            f"{url} cannot be reached safely: {error.reason}. Where a proxy stands between that has a "
            f"certificate of its own, name its file with {' or '.join(CERTIFICATE_VARIABLES)}."
        )
    return UnavailableError(
        f"{url} cannot be reached: {error.reason}.",
        "Is there a network, and does a proxy have to be set (https_proxy)?",
    )


def _refused(url: str, error: urllib.error.HTTPError) -> UnavailableError:
    """What to say about an answer that will not change."""
    if error.code in (404, 410):
        return UnavailableError(f"{url} does not exist (HTTP {error.code}). Check the address for slips.")
    if error.code in (401, 403, 407, 451):
        return UnavailableError(
            f"{url} is refused by the server or a proxy between (HTTP {error.code} {error.reason})."
        )
    return UnavailableError(f"{url} cannot be downloaded (HTTP {error.code} {error.reason}).")
