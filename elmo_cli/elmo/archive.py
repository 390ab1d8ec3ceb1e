"""Unpacking a downloaded model safely, and telling whether a directory holds a whole one."""

import gzip
import re
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, cast

from elmo_cli.errors import SourceError

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar")
OPTIONS_PATTERN = "*options.json"
WEIGHTS_SUFFIXES = (".hdf5", ".h5")

_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_SHARD = re.compile(r"variables\.data-(\d+)-of-(\d+)")


def unpack(archive: Path, directory: Path, name: str) -> None:
    """Unpacks a tar archive, plain or gzipped, into a directory that does not exist yet.

    The archive is read to its end, so that its checksum is verified. Only plain files and directories
    inside the directory are written; anything else ends the unpacking. After an error the directory may
    hold a part of the files.

    Args:
        archive: The file.
        directory: Where its content goes; made here.
        name: What messages call the archive: its URL or path.

    Raises:
        SourceError: When it is no archive, is damaged or cut, or holds absolute paths, ``..`` or links.
    """
    with archive.open("rb") as file:
        head = file.read(512)
        file.seek(0)
        _check_head(head, name)
        stream = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if head.startswith(_GZIP_MAGIC) else file
        try:
            directory.mkdir(parents=True)
            with tarfile.open(fileobj=stream, mode="r|") as members:
                for member in members:
                    _unpack_member(members, member, directory, name)
            # What follows the last member is read for the sake of the checksum at the very end.
            while stream.read(1 << 20):
                pass
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(
                f"{name} is a damaged or incomplete archive ({error}). Download it again."
            ) from error


def _check_head(head: bytes, name: str) -> None:
    """Raises SourceError when the first bytes are not those of an archive."""
    if head.startswith(_GZIP_MAGIC) or head[257:262] == b"ustar":
        return
    if head.lstrip()[:1] == b"<":
        what = "a web page (HTML or XML)"
    else:
        what = f"something that starts with {head[:16]!r}" if head else "empty"
    raise SourceError(
        f"{name} is {what}, not an archive of a model (.tar.gz). Check the address; a page that asks "
        f"for a login or for consent can be passed in a browser, then give the downloaded file's path."
    )


def _unpack_member(members: tarfile.TarFile, member: tarfile.TarInfo, directory: Path, name: str) -> None:
    """Writes one file or directory of the archive."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or "\\" in member.name or ":" in member.name:
        raise SourceError(f"{name} was refused: it would write outside its directory, to {member.name!r}.")
    target = directory.joinpath(*path.parts)
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    content = members.extractfile(member) if member.isreg() else None
    if content is None:
        raise SourceError(f"{name} was refused: {member.name!r} in it is a link or device, not a plain file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)


def model_directory(directory: Path, name: str) -> Path:
    """Finds the model in a directory: in itself, or in the only directory inside it.

    Args:
        directory: An existing directory.
        name: What messages call the model.

    Returns:
        The directory that holds ``saved_model.pb``, or options.json and HDF5 weights.

    Raises:
        SourceError: When there is no model, or files of it are missing.
    """
    if (directory / "saved_model.pb").is_file():
        _check_variables(directory / "variables", name)
        return directory
    inside = [path for path in sorted(directory.iterdir()) if not path.name.startswith(".")]
    if any(path.match(OPTIONS_PATTERN) for path in inside) and any(
        path.suffix in WEIGHTS_SUFFIXES for path in inside
    ):
        return directory
    if len(inside) == 1 and inside[0].is_dir():
        return model_directory(inside[0], name)
    seen = ", ".join(path.name for path in inside[:10]) or "nothing"
    raise SourceError(
        f"ELMo {name}: neither saved_model.pb (a TensorFlow Hub module) nor options.json with HDF5 weights "
        f"(AllenNLP) is in {directory}; found there: {seen}{', ...' if len(inside) > 10 else ''}."
    )


def _check_variables(variables: Path, name: str) -> None:
    """Raises SourceError when a file of a module's checkpoint is missing; a module may have none at all."""
    if not variables.exists():
        return
    present = {path.name for path in variables.iterdir()}
    shards = [match for match in map(_SHARD.fullmatch, present) if match]
    num_shards = int(shards[0].group(2)) if shards else 1
    wanted = {f"variables.data-{shard:05d}-of-{num_shards:05d}" for shard in range(num_shards)}
    if missing := sorted(({"variables.index"} | wanted) - present):
        raise SourceError(
            f"ELMo {name}: the module is incomplete, {', '.join(missing)} missing in {variables}. "
            f"Download or copy it again."
        )
