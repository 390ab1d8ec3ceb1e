"""Unpacking a downloaded model safely: tar, plain or gzipped, and zip."""

import gzip
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar, cast

from elmo_cli import files
from elmo_cli.byte_counts import format_bytes
from elmo_cli.elmo.fetching.first_bytes import looks_like
from elmo_cli.errors import SourceError

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")

_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952, section 2.3.1
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")  # APPNOTE.TXT 6.3.10, sections 4.3.7 and 4.3.16
_BLOCK_BYTES = 1 << 20
# Python's reader bounds what it unpacks at once for these two alone.
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_OTHER_METHODS = {9: "deflate64", zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma", 93: "zstd", 95: "xz"}
# Names longer or deeper than this are no model's; file systems take no longer ones.
_MOST_NAME_BYTES, _MOST_DIRECTORIES = 255, 20

Item = TypeVar("Item")


@dataclass(frozen=True)
class Bounds:
    """What an archive may unpack to; more is taken for a bomb.

    Weights are noise, which hardly shrinks; graphs and word lists shrink to a tenth at best.

    Args:
        num_bytes: Most bytes of all files together.
        ratio: Most bytes unpacked for each byte of the archive.
        free_bytes: So many bytes may be unpacked whatever the ratio.
        num_members: Most files and directories.
        header_bytes: Most bytes of a tar archive between two members, all of which are held in memory.
    """

    num_bytes: int = 20 * 10**9
    ratio: int = 100
    free_bytes: int = 10**7
    num_members: int = 10_000
    header_bytes: int = 1 << 20

    def most_bytes(self, archive_bytes: int) -> int:
        """Returns the most bytes that an archive of this size may unpack to."""
        return min(self.num_bytes, max(self.free_bytes, self.ratio * archive_bytes))


@dataclass(frozen=True)
class _Member:
    """A file of an archive, or a directory where `content` is None."""

    name: str
    content: IO[bytes] | None


def unpack(archive: Path, directory: Path, name: str, bounds: Bounds | None = None) -> None:
    """Unpacks an archive into a directory that does not exist yet.

    The archive is read to its end, so that its checksums are verified. Only plain files and directories
    inside the directory are written; anything else ends the unpacking. After an error the directory may
    hold a part of the files.

    Args:
        archive: The file; its content, not its name, tells whether it is tar or zip.
        directory: Where its content goes; made here.
        name: What messages call the archive: its URL or path.
        bounds: What it may unpack to.

    Raises:
        SourceError: When it is no archive, is damaged, cut or encrypted, unpacks to too much, names a file
            twice, or holds absolute paths, ``..``, links or devices.
        RunError: When the disk is full.
    """
    bounds = bounds or Bounds()
    most_bytes = bounds.most_bytes(archive.stat().st_size)
    with archive.open("rb") as file:
        head = file.read(512)
        file.seek(0)
        _check_head(head, name)
        read = _zip_members if head.startswith(_ZIP_MAGICS) else _tar_members
        directory.mkdir(parents=True)
        left, seen = most_bytes, set[str]()
        for num_members, member in enumerate(_readable(read(file, name, bounds, most_bytes), name), 1):
            if num_members > bounds.num_members:
                raise _bomb(name, f"more than {bounds.num_members:,} files")
            left -= _write_member(member, directory, name, left, seen)
            if left < 0:
                raise _bomb(name, f"more than {format_bytes(most_bytes)}")


def unpacked_bytes(archive: Path) -> int:
    """About how many bytes an archive unpacks to, where it says so; else how many it has itself.

    It is for a look at the free disk before the work; what an archive says need not be true.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            return sum(entry.file_size for entry in file.infolist())
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):  # `unpack` says why
        return archive.stat().st_size


def _check_head(head: bytes, name: str) -> None:
    """Raises SourceError when the first bytes are not those of an archive."""
    if head.startswith((_GZIP_MAGIC, *_ZIP_MAGICS)) or head[257:262] == b"ustar":
        return
    raise SourceError(
        f"{name} is {looks_like(head)}, not an archive of a model (.tar.gz or .zip). Check the address; "
        "a page that asks for a login or for consent can be passed in a browser, then give the file's path."
    )


def _readable(items: Iterator[Item], name: str) -> Iterator[Item]:
    """Yields what is read of an archive; raises SourceError where it cannot be read."""
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except (
            tarfile.TarError,
            zipfile.BadZipFile,
            EOFError,
            zlib.error,
            OSError,  # of gzip, and of an offset before the file's beginning
            ValueError,  # of numbers in headers, and of names
            RecursionError,  # headers of headers of headers
        ) as error:
            raise SourceError(
                f"{name} is a damaged or incomplete archive ({error}). Download it again."
            ) from error
        except NotImplementedError as error:  # a version of the format that zipfile does not know
            raise SourceError(
                f"{name} cannot be unpacked: {error}. Unpack it, and give the directory."
            ) from error
        yield item


class _Counted:
    """A stream that ends the unpacking when more than `most_bytes` were read from it."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream, self._name = stream, name
        self.num_bytes = self.most_bytes = 0

    def read(self, size: int = -1) -> bytes:
        content = self._stream.read(size)
        self.num_bytes += len(content)
        if self.num_bytes > self.most_bytes:
            raise _bomb(self._name, "more than an archive of its size can hold")
        return content


def _tar_members(file: IO[bytes], name: str, bounds: Bounds, most_bytes: int) -> Iterator[_Member]:
    """Reads a tar archive from front to back."""
    zipped = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    stream = _Counted(cast(IO[bytes], gzip.GzipFile(fileobj=file)) if zipped else file, name)
    # Room for headers, and for the zeros that fill up the blocks of each member and the end of the archive.
    whole = most_bytes + bounds.num_members * 2048 + bounds.header_bytes
    stream.most_bytes = bounds.header_bytes
    with tarfile.open(fileobj=cast(IO[bytes], stream), mode="r|") as members:
        while (member := members.next()) is not None:
            if not (member.isdir() or member.isreg()):
                raise SourceError(
                    f"{name} was refused: {member.name!r} in it is a link or device, not a plain file."
                )
            stream.most_bytes = whole
            yield _Member(member.name, None if member.isdir() else members.extractfile(member))
            # tarfile reads a header at once, however long: names of a gigabyte are a bomb, too.
            stream.most_bytes = min(whole, stream.num_bytes + bounds.header_bytes)
    # What follows the last member is read for the sake of the checksum at the very end.
    stream.most_bytes = whole
    while stream.read(_BLOCK_BYTES):
        pass


def _zip_members(file: IO[bytes], name: str, bounds: Bounds, most_bytes: int) -> Iterator[_Member]:
    """Reads a zip archive in the order of its directory, which may promise more than is allowed."""
    with zipfile.ZipFile(file) as members:
        entries = members.infolist()
        if len(entries) > bounds.num_members:
            raise _bomb(name, f"{len(entries):,} files")
        if (promised := sum(entry.file_size for entry in entries)) > most_bytes:
            raise _bomb(name, format_bytes(promised))
        for entry in entries:
            kind = stat.S_IFMT(entry.external_attr >> 16)  # Unix puts the mode here, others nothing
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise SourceError(
                    f"{name} was refused: {entry.filename!r} in it is a link or device, not a plain file."
                )
            if entry.flag_bits & 1:  # APPNOTE.TXT 6.3.10, section 4.4.4
                raise SourceError(
                    f"{name} was refused: {entry.filename!r} in it is encrypted. Unpack it, and give "
                    "the directory."
                )
            if entry.compress_type not in _ZIP_METHODS:
                method = _OTHER_METHODS.get(entry.compress_type, f"of type {entry.compress_type}")
                raise SourceError(
                    f"{name} cannot be unpacked: the compression of {entry.filename!r} in it is {method}, "
                    "not deflate. Unpack it, and give the directory."
                )
            yield _Member(entry.filename, None if entry.is_dir() else members.open(entry))


def _write_member(member: _Member, directory: Path, name: str, most_bytes: int, seen: set[str]) -> int:
    """Writes one file or directory; returns how many bytes, which is more than may be when it stops."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or any(character in member.name for character in "\\:\0"):
        raise SourceError(f"{name} was refused: it would write outside its directory, to {member.name!r}.")
    if len(path.parts) > _MOST_DIRECTORIES or any(
        len(part.encode(errors="replace")) > _MOST_NAME_BYTES for part in path.parts
    ):
        raise SourceError(f"{name} was refused: a name in it is too long, {member.name[:80]!r}...")
    target = directory.joinpath(*path.parts)
    try:
        if member.content is None:
            target.mkdir(parents=True, exist_ok=True)
            return 0
        # File systems that tell neither case nor composition of letters apart would see one file.
        key = unicodedata.normalize("NFC", path.as_posix()).casefold()
        if key in seen:
            raise FileExistsError
        seen.add(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        with member.content as content, target.open("xb") as file:
            blocks = iter(lambda: content.read(min(_BLOCK_BYTES, most_bytes - file.tell() + 1)), b"")
            for block in _readable(blocks, name):
                with files.writing(target):
                    file.write(block)
                if file.tell() > most_bytes:
                    break
            file.flush()
            # The directory is moved to its place only with all of it on the disk.
            files.synchronise_open(file.fileno())
            return file.tell()
    except (FileExistsError, IsADirectoryError, NotADirectoryError) as error:
        raise SourceError(f"{name} was refused: it holds {member.name!r} twice.") from error


def _bomb(name: str, what: str) -> SourceError:
    return SourceError(
        f"{name} was refused: it unpacks to {what}, as no model does. If it is one, unpack it yourself, and "
        "give the directory."
    )
