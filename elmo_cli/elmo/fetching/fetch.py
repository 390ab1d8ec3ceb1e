"""Downloads that arrive whole or not at all, kept in the cache directory.

modules/KEY/             an unpacked model; KEY is the SHA-256 of its URL, or of a local archive's content
modules/KEY.json         where it came from
modules/KEY.part         a download under way, resumed by the next process that wants it
modules/KEY.lock         held by the process at work, and let go by the system when that ends
files/KEY/NAME           single files; a pair of options and weights stands in one directory
files/KEY.NAME.json      and so on, for each of them
"""

import contextlib
import dataclasses
import datetime
import hashlib
import json
import logging
import os
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from elmo_cli import files
from elmo_cli.elmo.fetching import archive, model_files
from elmo_cli.elmo.fetching.download import MAX_BYTES, download
from elmo_cli.elmo.fetching.transfer import WAY_OUT, Patience, discard
from elmo_cli.errors import SourceError

logger = logging.getLogger(__name__)

OFFLINE_VARIABLE = "ELMO_CLI_OFFLINE"

_MAX_JSON_BYTES = 10**6


class NotCachedError(SourceError):
    """Something is not in the cache, and the network is not to be used.

    Args:
        what: A URL, or the name of a public ELMo.
        handle: What elmo-fetch would have to be told.
    """

    def __init__(self, what: str, handle: str) -> None:
        super().__init__(
            f"{what} is not in the cache ({files.cache_directory()}) and the network is not to be used "
            f"(--offline or {OFFLINE_VARIABLE}). Where it may be used: elmo-fetch {shlex.quote(handle)}. "
            f"{WAY_OUT}"
        )


def offline_wanted() -> bool:
    """Returns whether `OFFLINE_VARIABLE` forbids the network; ``--offline`` sets it."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in ("", "0", "no", "off", "false")


@dataclass(frozen=True)
class Terms:
    """On what terms something is fetched.

    Args:
        offline: Use the cache only.
        sha256: What the archive, or the weights of a pair, must have as SHA-256: 64 hexadecimal digits.
        patience: Timeouts and retries.
    """

    offline: bool = field(default_factory=offline_wanted)
    sha256: str | None = None
    patience: Patience = field(default_factory=Patience)


@dataclass(frozen=True)
class Origin:
    """Where something in the cache came from.

    Args:
        url: Its address; None for a local archive.
        file: The path of a local archive.
        sha256: Of what came: the archive, or the single file.
        num_bytes: Of what came.
        fetched: When, in ISO 8601.
    """

    url: str | None
    file: str | None
    sha256: str
    num_bytes: int
    fetched: str


def fetch_module(url: str, terms: Terms | None = None) -> Path:
    """Downloads and unpacks a model once; later calls find it in the cache and use no network.

    Args:
        url: Of an archive, or a handle such as https://tfhub.dev/google/elmo/3, which is asked for its
            archive as TensorFlow Hub asks.
        terms: Whether the network may be used, and how.

    Returns:
        The directory in the cache; it holds a whole model.

    Raises:
        NotCachedError: When it is not in the cache and the network is not to be used.
        SourceError: When the model cannot be had, or what came is no model.
    """
    terms = terms or Terms()
    place = _place("modules", url)
    if _is_whole(place):
        return place
    if terms.offline:
        raise NotCachedError(url, url)
    with files.lock(_beside(place, "lock"), work=f"downloads {url}"):
        if not _is_whole(place):  # another process may have brought it while this one waited
            _clear_away(place)
            part = _beside(place, "part")
            download(_archive_url(url), part, terms.patience, num_copies=2)
            with _used_up(part):
                _check_sha256(part, url, terms)
                _install(part, place, url=url)
    return place


def fetch_file(
    url: str, *, content: Literal["json", "hdf5"], pair: str | None = None, terms: Terms | None = None
) -> Path:
    """Downloads a single file once, checking that it is what its name says.

    Args:
        url: Of the file.
        content: What it must hold; an expected SHA-256 is that of HDF5 weights.
        pair: What names the pair of files that stands in one directory; None for a directory of its own.
        terms: As for `fetch_module`.

    Returns:
        The file in the cache, named as in the URL.

    Raises:
        NotCachedError: When it is not in the cache and the network is not to be used.
        SourceError: When the file cannot be had, or something else came.
    """
    terms = terms or Terms()
    folder = _place("files", pair or url)
    place = folder / urlsplit(url).path.rsplit("/", 1)[-1]
    if place.is_file():
        return place
    if terms.offline:
        raise NotCachedError(url, pair or url)
    with files.lock(_beside(folder, "lock"), work=f"downloads {url}"):
        if not place.is_file():
            part = _beside(folder, f"{place.name}.part")
            max_bytes = MAX_BYTES if content == "hdf5" else _MAX_JSON_BYTES
            download(url, part, terms.patience, max_bytes=max_bytes)
            with _used_up(part):
                if content == "hdf5":
                    _check_sha256(part, url, terms)
                    model_files.check_hdf5(part, url)
                else:
                    model_files.check_json(part, url)
                _write_origin(_beside(folder, f"{place.name}.json"), part, url=url)
                folder.mkdir(exist_ok=True)
                part.replace(place)
    return place


def unpack_local(path: Path) -> Path:
    """Unpacks a local archive into the cache once; its content, not its path, decides the place.

    Raises:
        SourceError: When it is no archive, is damaged or dangerous, or holds no model.
    """
    place = files.cache_directory() / "modules" / files.sha256(path)
    if _is_whole(place):
        return place
    with files.lock(_beside(place, "lock"), work=f"unpacks {path}"):
        if not _is_whole(place):
            _clear_away(place)
            _install(path, place, file=str(path.absolute()))
    return place


def origin_of(path: Path) -> Origin | None:
    """Finds where a file or directory in the cache came from.

    Args:
        path: What `fetch_module` or `unpack_local` returned, or a directory in it; or a file of `fetch_file`.

    Returns:
        What was noted when it came; None for what is not in the cache.
    """
    cache = files.cache_directory()
    for folder in (path, *path.parents):
        if folder.parent.parent == cache:
            name = f"{path.name}.json" if folder.parent.name == "files" else "json"
            try:
                return Origin(**json.loads(_beside(folder, name).read_bytes()))
            except (OSError, ValueError, TypeError):
                return None
    return None


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


def _is_whole(place: Path) -> bool:
    """Whether a model is in the cache with all its files; someone may have cleared some of them away."""
    if not place.is_dir():
        return False
    try:
        model_files.model_directory(place, place.name)
    except SourceError:
        return False
    return True


def _clear_away(place: Path) -> None:
    """Removes a model that is not whole."""
    if place.is_dir():
        logger.warning("Files are missing in %s: it is fetched again", place)
        shutil.rmtree(place)


def _check_sha256(path: Path, name: str, terms: Terms) -> None:
    if terms.sha256 is not None and (found := files.sha256(path)) != terms.sha256:
        raise SourceError(
            f"{name} has not the SHA-256 that was asked for: expected {terms.sha256}, received {found}. It "
            "was changed or damaged on its way, or the number belongs to another file."
        )


def _install(source: Path, place: Path, *, url: str | None = None, file: str | None = None) -> None:
    """Unpacks an archive beside its place and moves it there when it holds a whole model."""
    unpacking = _beside(place, "unpacking")
    shutil.rmtree(unpacking, ignore_errors=True)  # left by a process that was killed
    name = url or file or source.name
    try:
        files.check_room(place.parent, archive.unpacked_bytes(source), name)
        archive.unpack(source, unpacking, name)
        model_files.check_content(model_files.model_directory(unpacking, name), name)
        _write_origin(_beside(place, "json"), source, url=url, file=file)
        unpacking.rename(place)
    finally:
        shutil.rmtree(unpacking, ignore_errors=True)


def _write_origin(path: Path, source: Path, *, url: str | None = None, file: str | None = None) -> None:
    fetched = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    origin = Origin(url, file, files.sha256(source), source.stat().st_size, fetched)
    files.write_text(path, json.dumps(dataclasses.asdict(origin), indent=2) + "\n")


def _archive_url(url: str) -> str:
    """The URL under which a Hub server gives the archive: its own, or the handle's with Hub's parameter."""
    parts = urlsplit(url)
    is_file = parts.path.endswith((*archive.ARCHIVE_SUFFIXES, "/download"))  # the latter at Kaggle
    # What a storage service signed may not be added to: X-Amz-Signature=, X-Goog-Signature=, sig=.
    if is_file or "tf-hub-format" in parts.query or re.search("(?i)sig(nature)?=", parts.query):
        return url
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}tf-hub-format=compressed", fragment=""))
