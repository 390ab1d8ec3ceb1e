"""What an ELMo handle may look like: its forms, addresses and paths in it, and the nearest that is there."""

import difflib
from pathlib import Path
from urllib.parse import urlsplit

from elmo_cli.elmo.fetching.transfer import WAY_OUT
from elmo_cli.errors import SourceError

FORMS = """
A handle is one of
  bundled                          the ELMo that ships with elmo-cli (bundled:NAME for a certain one)
  google/elmo/3, allennlp:small    a public ELMo by its name; elmo-fetch --list shows them all
  nlpl:NUMBER                      a model of NLPL's repository
  https://...                      a TensorFlow Hub module, or an archive of a model
  DIRECTORY                        with saved_model.pb, or with options.json and HDF5 weights
  MODULE.tar.gz, MODEL.zip         a downloaded archive
  OPTIONS.json,WEIGHTS.hdf5        AllenNLP's pair of files, or the URLs of both"""


def is_url(part: str) -> bool:
    """Returns whether a handle, or a part of a pair, is meant as an address."""
    return "://" in part


def checked_url(url: str) -> str:
    """Returns the URL when it is one that can be fetched; else raises SourceError."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise SourceError(f"{url} is not a valid address: {error}.{FORMS}") from error
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
        raise SourceError(f"ELMo {url}: only http:// and https:// addresses can be fetched.{FORMS}")
    if "@" in parts.netloc:
        host = parts.netloc.rpartition("@")[2]
        raise SourceError(
            f"ELMo {parts.scheme}://{host}{parts.path}: an address with a user name or password in it cannot "
            f"be fetched. {WAY_OUT}"
        )
    return url


def expanded(part: str, handle: str) -> Path:
    """Returns a path of a handle, with ``~`` replaced; raises SourceError where there is no home."""
    try:
        return Path(part).expanduser()
    except RuntimeError as error:
        raise SourceError(f"ELMo {handle}: there is no home directory for the ~ in {part}.") from error


def local_files(handle: str) -> tuple[Path, ...]:
    """Returns the absolute paths that a handle consists of; none when any of it is no path, or not there.

    Raises:
        SourceError: Where there is no home for a ``~``.
    """
    handle = handle.strip()
    if handle == "bundled" or handle.startswith("bundled:"):
        return ()
    try:
        parts = [handle] if expanded(handle, handle).exists() else handle.split(",")
        paths = tuple(expanded(part.strip(), handle).absolute() for part in parts)
        return paths if all(map(Path.exists, paths)) else ()
    except OSError:  # of a directory that may not be looked into, or a name that is too long
        return ()


def nearest(path: Path) -> str:
    """Returns the name beside a missing path that looks most like it, as the end of a sentence."""
    parent = path.parent
    if not parent.is_dir():
        return f" (nor a directory {parent})"
    close = difflib.get_close_matches(path.name, [other.name for other in parent.iterdir()], n=1)
    return f"; did you mean {parent / close[0]}?" if close else ""
