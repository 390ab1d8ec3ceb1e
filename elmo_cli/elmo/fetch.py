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
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from elmo_cli import files
from elmo_cli.elmo import archive
from elmo_cli.elmo.download import WAY_OUT, Patience, discard, download
from elmo_cli.errors import SourceError

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"  # HDF5 File Format Specification 3.0, section II.A


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
            download(_archive_url(url), part, patience or Patience())
            with _used_up(part):
                _install(part, place, {"url": url, "file": None})
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
            download(url, part, patience or Patience())
            with _used_up(part):
                _check_content(part, content, url)
                _write_record(folder, part, {"url": url, "file": None})
                folder.mkdir(exist_ok=True)
                part.replace(place)
    return place


def unpack_local(path: Path) -> Path:
    """Unpacks a local archive into the cache once; its content, not its path, decides the place.

    Raises:
        SourceError: When it is no archive, is damaged or dangerous, or holds no model.
    """
    place = files.cache_directory() / "modules" / files.sha256(path)
    if place.is_dir():
        return place
    with files.lock(_beside(place, "lock")):
        if not place.is_dir():
            _install(path, place, {"url": None, "file": str(path.absolute())})
    return place


@contextlib.contextmanager
def _used_up(part: Path) -> Iterator[None]:
    """Removes a download after its use, and when it is no good; not when the user or the disk stops us."""
    try:
        yield
    except SourceError:
        discard(part)
        raise
    discard(part)


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
