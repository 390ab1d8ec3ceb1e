"""Downloads that arrive whole or not at all, kept in the cache directory.

modules/KEY/        an unpacked model; KEY is the SHA-256 of its URL, or of a local archive's content
modules/KEY.json    where it came from
modules/KEY.part    a download under way, resumed by the next process that wants it
modules/KEY.lock    held by the process at work
files/KEY/NAME      a single file, with the same companions
"""

import contextlib
import datetime
import hashlib
import http.client
import json
import logging
import math
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal
from urllib.parse import urlsplit, urlunsplit

from elmo_cli import __version__, files
from elmo_cli.elmo import archive
from elmo_cli.errors import SourceError
from elmo_cli.progress import track

logger = logging.getLogger(__name__)

WAY_OUT = "Or download it with a browser, on any machine, and give the file's path as --elmo."

_BLOCK_BYTES = 1 << 20
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification 3.0, section II.A
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


def fetch_module(url: str, *, offline: bool = False, patience: Patience | None = None) -> Path:
    """Downloads and unpacks a model once; later calls find it in the cache and use no network.

    Args:
        url: Of a .tar.gz, or a handle such as https://tfhub.dev/google/elmo/3, which is asked for its
            archive as TensorFlow Hub asks.
        offline: Use the cache only.
        patience: Timeout and retries.

    Returns:
        The directory in the cache; it holds a whole model.

    Raises:
        SourceError: When the model cannot be had, or what came is no model.
    """
    place = _place("modules", url)
    if place.is_dir():
        return place
    _refuse_offline(url, offline)
    with files.lock(_beside(place, "lock")):
        if not place.is_dir():  # another process may have brought it while this one waited
            part = _beside(place, "part")
            _download(_archive_url(url), part, patience or Patience())
            try:
                _install(part, place, {"url": url, "file": None})
            finally:
                _discard(part)
    return place


def fetch_file(
    url: str,
    *,
    content: Literal["json", "hdf5"],
    offline: bool = False,
    patience: Patience | None = None,
) -> Path:
    """Downloads a single file once, checking that it is what its name says.

    Args:
        url: Of the file.
        content: What it must hold.
        offline: Use the cache only.
        patience: Timeout and retries.

    Returns:
        The file in the cache, named as in the URL.

    Raises:
        SourceError: When the file cannot be had, or something else came.
    """
    folder = _place("files", url)
    place = folder / urlsplit(url).path.rsplit("/", 1)[-1]
    if place.is_file():
        return place
    _refuse_offline(url, offline)
    with files.lock(_beside(folder, "lock")):
        if not place.is_file():
            part = _beside(folder, "part")
            _download(url, part, patience or Patience())
            try:
                _check_content(part, content, url)
                _write_record(folder, part, {"url": url, "file": None})
                folder.mkdir(exist_ok=True)
                part.replace(place)
            finally:
                _discard(part)
    return place


def unpack_local(path: Path) -> Path:
    """Unpacks a local archive into the cache once; its content, not its path, decides the place.

    Raises:
        SourceError: When it is no archive, is damaged or dangerous, or holds no model.
    """
    place = files.cache_directory() / "modules" / files.sha256(path)
    with files.lock(_beside(place, "lock")):
        if not place.is_dir():
            _install(path, place, {"url": None, "file": str(path.absolute())})
    return place


def _place(kind: str, url: str) -> Path:
    return files.cache_directory() / kind / hashlib.sha256(url.encode()).hexdigest()


def _beside(place: Path, suffix: str) -> Path:
    return place.with_name(f"{place.name}.{suffix}")


def _refuse_offline(url: str, offline: bool) -> None:
    if offline:
        raise SourceError(
            f"{url} is not in the cache ({files.cache_directory()}) and the network is not to be used. "
            f"{WAY_OUT}"
        )


def _install(source: Path, place: Path, record: dict[str, str | None]) -> None:
    """Unpacks an archive beside its place and moves it there when it holds a whole model."""
    unpacking = _beside(place, "unpacking")
    shutil.rmtree(unpacking, ignore_errors=True)  # left by a process that was killed
    name = record["url"] or record["file"] or source.name
    try:
        archive.unpack(source, unpacking, name)
        archive.model_directory(unpacking, name)
        _write_record(place, source, record)
        unpacking.rename(place)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)


def _write_record(place: Path, source: Path, record: dict[str, str | None]) -> None:
    """Writes where a cached model came from, for people who look into the cache."""
    fetched = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    facts = {**record, "sha256": files.sha256(source), "num_bytes": source.stat().st_size, "fetched": fetched}
    files.write_text(_beside(place, "json"), json.dumps(facts, indent=2) + "\n")


def _archive_url(url: str) -> str:
    """The URL under which a Hub server gives the archive: its own, or the handle's with Hub's parameter."""
    parts = urlsplit(url)
    if parts.path.endswith(archive.ARCHIVE_SUFFIXES) or "tf-hub-format" in parts.query:
        return url
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}tf-hub-format=compressed", fragment=""))


def _check_content(path: Path, content: str, url: str) -> None:
    """Raises SourceError when a file is not of the format its URL promises."""
    if content == "hdf5":
        with path.open("rb") as file:
            good = file.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC
    else:
        try:
            good = isinstance(json.loads(path.read_bytes()), dict)
        except ValueError:
            good = False
    if not good:
        raise SourceError(f"{url} did not give a {content.upper()} file. Check the address. {WAY_OUT}")


class _CutError(Exception):
    """A transfer ended before its time; the next try goes on where it stopped."""


def _download(url: str, part: Path, patience: Patience) -> None:
    """Brings the whole of a URL into the part file, over as many connections as it takes."""
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
                _discard(part)  # it belongs to a file that has changed
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


def _transfer(url: str, part: Path, timeout_s: float) -> None:
    """One connection: asks for what the part file lacks and appends it.

    Raises:
        _CutError: When fewer bytes came than were announced.
        OSError, http.client.HTTPException: As urllib raises them.
    """
    num_present, validator = _size(part), _beside(part, "validator")
    headers = {"User-Agent": f"elmo-cli/{__version__}", "Accept-Encoding": "identity"}
    if num_present:
        headers["Range"] = f"bytes={num_present}-"
        with contextlib.suppress(FileNotFoundError):
            headers["If-Range"] = validator.read_text()
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s) as response:
        if response.status != 206:
            num_present = 0  # the server gives the whole, from the start
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {num_present}-"):
            _discard(part)
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


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    _beside(part, "validator").unlink(missing_ok=True)


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
