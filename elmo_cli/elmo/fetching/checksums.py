"""Checksums that a server sends along with a file."""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from email.message import Message
from pathlib import Path


@dataclass(frozen=True)
class Checksum:
    """What the digest of a whole file must be.

    Args:
        algorithm: As `hashlib` calls it.
        digest: The bytes.
    """

    algorithm: str
    digest: bytes

    def fits(self, path: Path) -> bool:
        """Returns whether a file has this digest."""
        with path.open("rb") as file:
            made = hashlib.file_digest(file, lambda: hashlib.new(self.algorithm, usedforsecurity=False))
        return made.digest() == self.digest


def sent_checksum(headers: Message) -> Checksum | None:
    """Finds the best checksum of the whole file among the headers of an answer, whole or part.

    Args:
        headers: ``Repr-Digest: sha-256=:...:`` (RFC 9530), ``Digest: sha-256=...`` (RFC 3230), or
            ``x-goog-hash: md5=...`` (Google Cloud Storage); values are in base64.

    Returns:
        The checksum; None where none was sent, or none that can be read.
    """
    names = ("Repr-Digest", "Digest", "x-goog-hash")
    every = ",".join(str(value) for name in names for value in headers.get_all(name, ()))
    for name, algorithm in (("sha-256", "sha256"), ("md5", "md5")):
        if match := re.search(rf"(?:^|[\s,]){name}=:?([A-Za-z0-9+/]+=*)", every, re.IGNORECASE):
            try:
                digest = base64.b64decode(match[1], validate=True)
            except binascii.Error:
                continue
            if len(digest) == hashlib.new(algorithm, usedforsecurity=False).digest_size:
                return Checksum(algorithm, digest)
    return None
