"""Checksums that servers send."""

import base64
import hashlib
from email.message import Message

import pytest

from elmo_cli.elmo.fetching.checksums import Checksum, sent_checksum

MD5 = base64.b64encode(hashlib.md5(b"x").digest()).decode()
SHA256 = base64.b64encode(hashlib.sha256(b"x").digest()).decode()


@pytest.mark.parametrize(
    ("header", "value", "algorithm"),
    [
        ("x-goog-hash", f"crc32c=n03x6A==,md5={MD5}", "md5"),
        ("X-Goog-Hash", f"md5={MD5}", "md5"),
        ("Repr-Digest", f"sha-512=:AAAA:, sha-256=:{SHA256}:", "sha256"),
        ("Digest", f"SHA-256={SHA256},MD5={MD5}", "sha256"),
    ],
)
def test_the_best_checksum_is_found(header, value, algorithm):
    headers = Message()
    headers[header] = value
    assert sent_checksum(headers) == Checksum(algorithm, hashlib.new(algorithm, b"x").digest())


def test_a_checksum_may_stand_in_the_second_of_two_headers():
    headers = Message()
    headers["x-goog-hash"] = "crc32c=n03x6A=="  # Google Cloud Storage sends them one by one
    headers["x-goog-hash"] = f"md5={MD5}"
    assert sent_checksum(headers) == Checksum("md5", hashlib.md5(b"x").digest())


@pytest.mark.parametrize("value", ["", "md5=", "md5=!!!", "md5=AAAA", "crc32c=n03x6A==", "xmd5=" + MD5])
def test_what_is_no_checksum_is_left_alone(value):
    headers = Message()
    headers["x-goog-hash"] = value
    assert sent_checksum(headers) is None


def test_a_file_has_a_checksum(tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    assert Checksum("md5", base64.b64decode(MD5)).fits(tmp_path / "x")
    assert not Checksum("sha256", bytes(32)).fits(tmp_path / "x")
