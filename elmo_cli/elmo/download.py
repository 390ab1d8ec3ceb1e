"""Bytes from the web that all arrive: timeout, retries, resuming, and messages that help."""

import contextlib
import http.client
import logging
import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from elmo_cli import __version__
from elmo_cli.errors import SourceError
from elmo_cli.progress import track

logger = logging.getLogger(__name__)

WAY_OUT = "Or download it with a browser, on any machine, and give the file's path as --elmo."

_BLOCK_BYTES = 1 << 20
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that may be gone a moment later


@dataclass(frozen=True)
class Patience:
    """How long a download waits and how often it tries again.

    Args:
        timeout_s: Seconds without a byte after which a connection counts as dead.
        num_retries: Failures in a row, none of which brought a new byte, before giving up.
        pause_s: Seconds before the first new try; doubled with each failure in a row.
    """

    timeout_s: float = 30.0
    num_retries: int = 4
    pause_s: float = 1.0


class _CutError(Exception):
    """A transfer ended before its time; the next try goes on where it stopped."""


def download(url: str, part: Path, patience: Patience) -> None:
    """Brings the whole of a URL into a file, over as many connections as it takes.

    What the file holds already, from an earlier call that failed or was killed, is not asked for again.

    Args:
        url: http or https; proxies are taken from the environment, as urllib does.
        part: The file; whole when this returns, else kept for the next call.
        patience: Timeout and retries.

    Raises:
        SourceError: When the server refuses, cannot be reached, or fails more often than patience lasts.
    """
    num_failures, most_bytes = 0, _size(part)
    while True:
        try:
            _transfer(url, part, patience.timeout_s)
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
        except http.client.InvalidURL as error:
            raise SourceError(f"{url} is not a valid address: {error}.") from error
        except (_CutError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
            reason = error
        except urllib.error.URLError as error:
            if not isinstance(error.reason, TimeoutError | ConnectionResetError):
                raise SourceError(
                    f"{url} cannot be reached: {error.reason}. Is there a network, and does a proxy have "
                    f"to be set (https_proxy)? {WAY_OUT}"
                ) from error
            reason = error
        num_failures = 0 if _size(part) > most_bytes else num_failures + 1
        most_bytes = max(most_bytes, _size(part))
        if num_failures > patience.num_retries:
            raise SourceError(
                f"{url} could not be downloaded, {num_failures} times in a row: "
                f"{str(reason) or 'timed out'}. The same command later goes on after "
                f"{_size(part):,} bytes. {WAY_OUT}"
            ) from reason
        pause_s = patience.pause_s * 2 ** max(0, num_failures - 1)
        logger.info("Download of %s: %s; trying again in %.0f s", url, reason, pause_s)
        time.sleep(pause_s)


def discard(part: Path) -> None:
    """Removes a part file and what was noted about it."""
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)


def _transfer(url: str, part: Path, timeout_s: float) -> None:
    """One connection: asks for what the part file lacks and appends it.

    Raises:
        _CutError: When fewer bytes came than were announced.
        OSError, http.client.HTTPException: As urllib raises them.
    """
    num_present, validator = _size(part), _validator(part)
    headers = {"User-Agent": f"elmo-cli/{__version__}", "Accept-Encoding": "identity"}
    if num_present:
        headers["Range"] = f"bytes={num_present}-"
        with contextlib.suppress(FileNotFoundError):
            headers["If-Range"] = validator.read_text()
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s) as response:
        if response.status != 206:
            num_present = 0  # the server gives the whole, from the start
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {num_present}-"):
            discard(part)
            raise _CutError("the server gave another part than was asked for")
        tag = response.headers.get("ETag", "")
        if not num_present:
            # Only a strong validator can promise that two parts are of the same file (RFC 9110, 13.1.5).
            good = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
            validator.unlink(missing_ok=True)
            if good:
                validator.write_text(good)
        announced = response.headers.get("Content-Length", "")
        total = num_present + int(announced) if re.fullmatch(r"\d+", announced) else None
        with part.open("ab" if num_present else "wb") as file:
            blocks = _copy(response, file)
            if total is not None:
                left = math.ceil((total - num_present) / _BLOCK_BYTES)
                blocks = track(blocks, total=left, description=f"downloading {url}", unit="MB")
            for _ in blocks:
                pass
    if total is not None and _size(part) != total:
        raise _CutError(f"the connection ended after {_size(part):,} of {total:,} bytes")


def _copy(response: IO[bytes], file: IO[bytes]) -> Iterator[None]:
    """Copies a response, yielding once for each block that is written."""
    while block := response.read(_BLOCK_BYTES):
        file.write(block)
        yield


def _validator(part: Path) -> Path:
    """Where the ETag or date of the file that a part belongs to is noted."""
    return part.with_name(f"{part.name}.validator")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _refused(url: str, error: urllib.error.HTTPError) -> SourceError:
    """What to say about an answer that will not change."""
    if error.code in (404, 410):
        return SourceError(
            f"{url} does not exist (HTTP {error.code}). Check the address for slips. {WAY_OUT}"
        )
    if error.code in (401, 403, 407, 451):
        return SourceError(
            f"{url} is refused by the server or a proxy between (HTTP {error.code} {error.reason}). {WAY_OUT}"
        )
    return SourceError(f"{url} cannot be downloaded (HTTP {error.code} {error.reason}). {WAY_OUT}")
