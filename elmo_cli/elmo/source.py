"""From a handle, as a user writes it, to the files of an ELMo on this machine."""

import difflib
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from elmo_cli import files
from elmo_cli.elmo.fetching import archive, fetch
from elmo_cli.elmo.fetching.fetch import Terms
from elmo_cli.elmo.fetching.known import Address, KnownElmo, known_elmo, known_names
from elmo_cli.elmo.fetching.model_files import (
    WEIGHTS_SUFFIXES,
    model_directory,
    options_files,
    partner_names,
    with_partner,
)
from elmo_cli.elmo.fetching.transfer import WAY_OUT, UnavailableError
from elmo_cli.elmo.handles import FORMS, checked_url, expanded, is_url, nearest
from elmo_cli.errors import RunError, SourceError

logger = logging.getLogger(__name__)

BUNDLED_DIRECTORY = Path(__file__).parent / "bundled"
# Name of a folder in BUNDLED_DIRECTORY -> what it is; the first is the default.
BUNDLED = {"mini": "a small English biLM; see its MODEL_CARD.md"}


@dataclass(frozen=True)
class ElmoSource:
    """An ELMo that is on this machine and ready to be read.

    Args:
        handle: What the user wrote.
        kind: ``bilm`` for options.json with HDF5 weights, ``hub`` for a TensorFlow Hub module.
        path: The directory with its files; that of the module where a biLM was made of one.
        fingerprint: SHA-256 over all that decides the vectors, as 64 hexadecimal digits: weights and
            options of a biLM, every file of a module with its relative path. File names of a biLM and
            the place on disk do not enter it.
        options_path: The options.json of a biLM.
        weights_path: The HDF5 weights of a biLM.
    """

    handle: str
    kind: Literal["bilm", "hub"]
    path: Path
    fingerprint: str
    options_path: Path | None = None
    weights_path: Path | None = None

    def files(self) -> list[Path]:
        """Returns what is read: options and weights of a biLM, every file of a module."""
        module = self.path.rglob("*") if (self.path / "saved_model.pb").is_file() else ()
        pair = (self.options_path, self.weights_path)
        return [*(path for path in pair if path is not None), *(path for path in module if path.is_file())]

    def to_json(self) -> dict[str, Any]:
        """Returns a dictionary of strings (and None) that `from_json` reads back."""
        return {
            "handle": self.handle,
            "kind": self.kind,
            "path": str(self.path),
            "fingerprint": self.fingerprint,
            "options_path": str(self.options_path) if self.options_path else None,
            "weights_path": str(self.weights_path) if self.weights_path else None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Reads what `to_json` returned."""
        paths = {key: Path(data[key]) if data[key] else None for key in ("options_path", "weights_path")}
        return cls(**{**data, **paths, "path": Path(data["path"])})


def resolve(handle: str, *, offline: bool = False, sha256: str | None = None) -> ElmoSource:
    """Finds the files a handle stands for; downloads and unpacks them into the cache where needed.

    Args:
        handle: See `FORMS`; for a pair of files, either of them is enough where the other has the
            corresponding name beside it.
        offline: Never use the network; what was downloaded before is found in the cache. The environment
            variable `fetch.OFFLINE_VARIABLE` says so for all.
        sha256: What the model must have: 64 hexadecimal digits, the SHA-256 of its archive, or of the weights
            where options and weights are two files. What is on this machine already may instead be known
            by the SHA-256 of its weights, or by its fingerprint.

    Returns:
        The source; its files exist.

    Raises:
        SourceError: When the handle is of no known form, or its files are missing, incomplete, cannot
            be downloaded or are not those that were expected. The message says what was looked for.
    """
    handle = handle.strip()
    terms = Terms(offline=offline or fetch.offline_wanted(), sha256=sha256.lower() if sha256 else None)
    try:
        source = _resolve(handle, terms)
        _check_sha256(source, terms)
    except OSError as error:
        raise SourceError(
            f"ELMo {handle}: {error.filename or 'files'}: {error.strerror or error}."
        ) from error
    except RunError as error:  # of the cache directory
        raise SourceError(
            f"ELMo {handle}: {error} ELMO_CLI_CACHE names the directory for downloads."
        ) from error
    logger.debug("ELMo %s is at %s (fingerprint %s)", handle, source.path, source.fingerprint[:12])
    return source


def _resolve(handle: str, terms: Terms) -> ElmoSource:
    if not handle:
        raise SourceError(f"The ELMo handle is empty.\n{FORMS.strip()}")
    if handle == "bundled" or handle.startswith("bundled:"):
        return _bundled(handle)
    path = expanded(handle, handle).absolute()
    if not path.exists() and (known := known_elmo(handle)):
        return _known(handle, known, terms)
    if "," in handle and not path.exists() and _begins_as_pair(handle):
        return _pair(handle, handle.split(","), terms)
    if is_url(handle):
        return _url(handle, terms)
    if path.is_dir():
        return _directory(handle, path)
    if not path.exists():
        close = difflib.get_close_matches(handle, known_names(), n=1)
        hint = f"; did you mean {close[0]}?" if close else nearest(path)
        raise SourceError(f"ELMo {handle}: there is no such file or directory{_ended(hint)}{FORMS}")
    if path.name.lower().endswith(archive.ARCHIVE_SUFFIXES):
        return _directory(handle, fetch.unpack_local(path))
    if path.suffix in (".json", *WEIGHTS_SUFFIXES):
        return _bilm(handle, *with_partner(handle, path))
    raise SourceError(f"ELMo {handle}: a file that ends in {path.suffix or 'nothing'} is not known.{FORMS}")


def _ended(hint: str) -> str:
    """A hint that ends a sentence."""
    return hint if hint.endswith("?") else f"{hint}."


def _bundled(handle: str) -> ElmoSource:
    """Source of a model that ships with the package."""
    name = handle.partition(":")[2] or next(iter(BUNDLED))
    if name not in BUNDLED:
        raise SourceError(
            f"ELMo {handle}: no model of that name ships with elmo-cli; there is: {', '.join(BUNDLED)}."
        )
    directory = BUNDLED_DIRECTORY / name
    options, weights = directory / "options.json", directory / "weights.hdf5"
    if missing := [path.name for path in (options, weights) if not path.is_file()]:
        raise SourceError(
            f"ELMo {handle}: {' and '.join(missing)} not found in {directory}; this installation of elmo-cli "
            f"is incomplete. Install it again, or give another ELMo with --elmo.{FORMS}"
        )
    return _bilm(handle, options, weights)


def _known(handle: str, model: KnownElmo, terms: Terms) -> ElmoSource:
    """Source of a public ELMo, from the first of its addresses that gives it."""
    cached = replace(terms, offline=True)
    for address in model.addresses:
        try:
            return _address(handle, address, cached)
        except fetch.NotCachedError:
            continue
    if terms.offline:
        raise fetch.NotCachedError(handle, model.name)
    refusals = []
    for address in model.addresses:
        try:
            return _address(handle, address, terms)
        except SourceError as error:
            refusals.append(error.what if isinstance(error, UnavailableError) else str(error))
            logger.info("%s does not give %s", address[-1], handle)
    said = "".join(f"\n  {refusal}" for refusal in refusals)
    raise SourceError(f"ELMo {handle}: none of its {len(refusals)} addresses gives it.{said}\n{WAY_OUT}")


def _address(handle: str, address: Address, terms: Terms) -> ElmoSource:
    """Source of one address of a public ELMo."""
    if len(address) > 1:
        return _pair(handle, address, terms)
    return _directory(handle, fetch.fetch_module(address[0], terms))


def _begins_as_pair(handle: str) -> bool:
    """Whether what stands before a comma can be one file of a pair; in a URL it may be a part of it."""
    first = handle.partition(",")[0].strip()
    return not is_url(first) or first.partition("?")[0].endswith((".json", *WEIGHTS_SUFFIXES))


def _pair(handle: str, parts: Iterable[str], terms: Terms) -> ElmoSource:
    """Source of options and weights, each a path or a URL."""
    parts = [part.strip() for part in parts]
    names = [urlsplit(checked_url(part)).path if is_url(part) else part for part in parts]
    if len(parts) != 2 or not names[0].endswith(".json") or not names[1].endswith(WEIGHTS_SUFFIXES):
        raise SourceError(
            f"ELMo {handle}: with a comma, OPTIONS.json,WEIGHTS.hdf5 was expected, in this order.{FORMS}"
        )
    for part in parts:
        path = expanded(part, handle)
        if not is_url(part) and not path.is_file():
            raise SourceError(f"ELMo {handle}: there is no file {part}{nearest(path)}.")
    # Two downloads stand in one directory, which can then be given as a handle itself.
    pair = ",".join(parts) if all(map(is_url, parts)) else None
    local = partial(_local_file, pair=pair, terms=terms)
    return _bilm(handle, local(parts[0], "json"), local(parts[1], "hdf5"))


def _local_file(part: str, content: Literal["json", "hdf5"], *, pair: str | None, terms: Terms) -> Path:
    """One file of a pair, downloaded when it is a URL."""
    if is_url(part):
        return fetch.fetch_file(checked_url(part), content=content, pair=pair, terms=terms)
    return Path(part).expanduser().absolute()


def _url(handle: str, terms: Terms) -> ElmoSource:
    """Source of one URL: a module, or either file of AllenNLP's pair."""
    path = urlsplit(checked_url(handle)).path
    if not path.endswith((".json", *WEIGHTS_SUFFIXES)):
        return _directory(handle, fetch.fetch_module(handle, terms))
    name = path.rsplit("/", 1)[-1]
    partner = next(iter(partner_names(name)), None)
    if partner is None:
        raise SourceError(
            f"ELMo {handle}: give the URLs of options and weights, joined by a comma: "
            f"OPTIONS.json,WEIGHTS.hdf5."
        )
    other = urlunsplit(urlsplit(handle)._replace(path=path.removesuffix(name) + partner))
    return _pair(handle, (handle, other) if name.endswith(".json") else (other, handle), terms)


def _directory(handle: str, directory: Path) -> ElmoSource:
    """Source of a directory, or of the one directory in it (archives often wrap their content)."""
    root = model_directory(directory, handle)
    if (root / "saved_model.pb").is_file():
        named = sorted(
            (path.relative_to(root).as_posix(), path) for path in root.rglob("*") if path.is_file()
        )
        return ElmoSource(handle, "hub", root, _fingerprint(named))
    options = options_files(root)
    if len(options) != 1:
        names = ", ".join(path.name for path in options)
        raise SourceError(
            f"ELMo {handle}: {root} holds several models ({names}); give the path of one of them."
        )
    return _bilm(handle, *with_partner(handle, options[0]))


def _bilm(handle: str, options: Path, weights: Path) -> ElmoSource:
    fingerprint = _fingerprint((("options", options), ("weights", weights)))
    return ElmoSource(handle, "bilm", options.parent, fingerprint, options, weights)


def _check_sha256(source: ElmoSource, terms: Terms) -> None:
    """Raises SourceError when a source has not the checksum that was asked for."""
    if terms.sha256 is None or terms.sha256 == source.fingerprint:
        return
    origin = fetch.origin_of(source.weights_path or source.path)
    if origin is not None and origin.sha256 == terms.sha256:
        return
    archive_came = origin is not None and (origin.file or source.weights_path is None)
    found = f"archive {origin.sha256}, " if origin is not None and archive_came else ""
    if source.weights_path is not None:
        weights = files.sha256(source.weights_path)
        if weights == terms.sha256:
            return
        found += f"weights {weights}, "
    # What did not come from the web cannot be fetched again by us.
    fetched = origin is not None and origin.url is not None
    again = f"Remove {source.path} to fetch it again" if fetched else "Bring it here again"
    raise SourceError(
        f"ELMo {source.handle}: not the SHA-256 that was asked for, {terms.sha256}; received {found}"
        f"fingerprint {source.fingerprint}. {again}, or correct the number."
    )


def _fingerprint(named: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 over the name and the SHA-256 of each file, in the order given."""
    lines = (f"{name}\0{files.sha256(path)}\n" for name, path in named)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
