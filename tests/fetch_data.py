"""A module as it is published, for tests that fetch it."""

import io
import os
import tarfile
from pathlib import Path


def archive(
    files: dict[str, bytes], *, mode: str = "w:gz", extra: list[tarfile.TarInfo] | None = None
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for member in extra or []:
            tar.addfile(member)
    return buffer.getvalue()


# Random bytes do not compress: the archive is longer than one block of the download.
MODULE = {
    "./saved_model.pb": os.urandom(3_000_000),
    "./tfhub_module.pb": b"\x08\x03",
    "./variables/variables.index": b"index",
    "./variables/variables.data-00000-of-00001": os.urandom(100_000),
}
ARCHIVE = archive(MODULE)


def content(directory: Path) -> dict[str, bytes]:
    return {
        f"./{path.relative_to(directory).as_posix()}": path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }
