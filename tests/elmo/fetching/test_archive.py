"""Archives of models, and those that pretend to be one."""

import gzip
import io
import os
import secrets
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from fetch_data import archive as tar

from elmo_cli.elmo.fetching import archive
from elmo_cli.elmo.fetching.archive import Bounds, unpack, unpacked_bytes
from elmo_cli.errors import RunError, SourceError

FILES = {"model.hdf5": os.urandom(30_000), "options.json": b"{}", "sub/vocab.txt": b"a\nb\n"}


def zipped(files: dict[str, bytes], *, mode: int = 0, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            entry.compress_type = compression
            file.writestr(entry, content)
    return buffer.getvalue()


def unpacked(content: bytes, tmp_path: Path, bounds: Bounds | None = None) -> dict[str, bytes]:
    (tmp_path / "archive").write_bytes(content)
    directory = tmp_path / "in" / "here"
    unpack(tmp_path / "archive", directory, "ARCHIVE", bounds)
    found = [path for path in directory.rglob("*") if path.is_file()]
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize(
    "content",
    [tar(FILES), tar(FILES, mode="w"), zipped(FILES), zipped(FILES, compression=zipfile.ZIP_STORED)],
    ids=["tar.gz", "tar", "zip", "stored zip"],
)
def test_what_was_packed_comes_out(tmp_path, content):
    assert unpacked(content, tmp_path) == FILES


def test_directories_may_be_named_twice(tmp_path):
    folder = tarfile.TarInfo("sub")
    folder.type = tarfile.DIRTYPE
    assert unpacked(tar(FILES, extra=[folder, folder]), tmp_path) == FILES


@pytest.mark.parametrize(
    "name", ["../outside", "a/../../outside", "/tmp/outside", "..\\outside", "C:/outside"]
)
def test_a_zip_that_writes_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(SourceError, match="was refused: it would write outside"):
        unpacked(zipped({name: b"x"}), tmp_path)
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, kind):
    with pytest.raises(SourceError, match="is a link or device"):
        unpacked(zipped({"weights.hdf5": b"/etc/passwd"}, mode=kind | 0o644), tmp_path)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    member = tarfile.TarInfo("weights.hdf5")
    member.type, member.linkname = kind, "/etc/passwd"
    with pytest.raises(SourceError, match="is a link or device"):
        unpacked(tar({}, extra=[member]), tmp_path)


@pytest.mark.parametrize(
    "names", [("a", "a"), ("a", "A"), ("\u00e9", "e\u0301"), ("a", "./a"), ("a", "a/b"), ("a/b", "a")]
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_name_that_stands_twice_is_refused(tmp_path, names, kind):
    if kind == "tar":
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as file:
            for name in names:
                file.addfile(tarfile.TarInfo(name))
        content = buffer.getvalue()
    else:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for name in names:
                file.writestr(name, b"")
        content = buffer.getvalue()
    with pytest.raises(SourceError, match=r"was refused: it holds .* twice"):
        unpacked(content, tmp_path)


def test_an_encrypted_zip_is_refused(tmp_path):
    content = bytearray(zipped({"model.hdf5": b"x" * 50}))
    content[6] |= 1  # in the file's header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # in the directory
    with pytest.raises(SourceError, match=r"'model.hdf5' in it is encrypted"):
        unpacked(bytes(content), tmp_path)


@pytest.mark.parametrize(("method", "name"), [(zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "lzma")])
def test_what_python_would_unpack_without_a_bound_is_refused(tmp_path, method, name):
    content = zipped({"model.hdf5": bytes(20_000_000)}, compression=method)
    lying = bytearray(content)
    directory = lying.index(b"PK\x01\x02")
    lying[directory + 24 : directory + 28] = (1000).to_bytes(4, "little")
    with pytest.raises(SourceError, match=rf"ARCHIVE cannot be unpacked: .*compression .* is {name}"):
        unpacked(bytes(lying), tmp_path)


def test_a_zip_that_lost_bytes_in_its_middle_is_damaged(tmp_path):
    content = zipped(FILES)
    with pytest.raises(SourceError, match="ARCHIVE is a damaged or incomplete archive"):
        unpacked(content[:100] + content[20_000:], tmp_path)


def test_a_tar_whose_headers_are_no_numbers_is_damaged(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as file:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"GNU.sparse.map": "0,x", "GNU.sparse.size": "1"}
        file.addfile(member)
    with pytest.raises(SourceError, match="damaged or incomplete"):
        unpacked(buffer.getvalue(), tmp_path)


@pytest.mark.parametrize("kind", [tar, zipped])
@pytest.mark.parametrize("long", ["a/" * 1200 + "x", "x" * 300, "\u00e9" * 200])
def test_names_that_no_file_system_takes_are_refused(tmp_path, kind, long):
    with pytest.raises(SourceError, match="ARCHIVE was refused: a name in it is too long"):
        unpacked(kind({long: b"x"}), tmp_path)


def test_a_zip_that_cannot_be_read_counts_as_large_as_it_is(tmp_path):
    content = zipped({"\u00e9": b"x" * 50})
    newer = bytearray(content)
    newer[newer.index(b"PK\x01\x02") + 6] = 99  # the version of the format that is needed
    for each in (bytes(newer), content.replace("\u00e9".encode(), b"\xff\xfe"), content[:-30]):
        (tmp_path / "a.zip").write_bytes(each)
        assert unpacked_bytes(tmp_path / "a.zip") == len(each)
        with pytest.raises(SourceError, match=r"ARCHIVE (is a damaged|cannot be unpacked)"):
            unpack(tmp_path / "a.zip", tmp_path / secrets.token_hex(), "ARCHIVE")


def test_a_disk_that_fills_up_is_named(tmp_path):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "a.zip").write_bytes(zipped({"model.hdf5": bytes(100_000)}))
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(RunError, match=r"in/model\.hdf5 cannot be written: File too large"):
            unpack(tmp_path / "a.zip", tmp_path / "in", "ARCHIVE")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_way_of_compression_that_nobody_knows_is_said(tmp_path):
    content = bytearray(zipped({"model.hdf5": b"x" * 50}))
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 99
    with pytest.raises(SourceError, match=r"cannot be unpacked: .*compression"):
        unpacked(bytes(content), tmp_path)


@pytest.mark.parametrize("kind", [tar, zipped])
def test_damaged_bytes_are_found(tmp_path, kind):
    content = bytearray(kind(FILES))
    content[5000] ^= 0xFF
    with pytest.raises(SourceError, match="damaged or incomplete"):
        unpacked(bytes(content), tmp_path)


@pytest.mark.parametrize("kind", [tar, zipped])
def test_a_cut_archive_is_incomplete(tmp_path, kind):
    with pytest.raises(SourceError, match="damaged or incomplete"):
        unpacked(kind(FILES)[:-10], tmp_path)


@pytest.mark.parametrize("kind", [tar, zipped])
def test_a_bomb_is_refused_before_it_goes_off(tmp_path, kind):
    content = kind({"saved_model.pb": bytes(20_000_000)})
    assert len(content) < 25_000
    with pytest.raises(SourceError, match="was refused: it unpacks to"):
        unpacked(content, tmp_path)
    assert sum(path.stat().st_size for path in (tmp_path / "in").rglob("*")) < 11_000_000


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path):
    content = bytearray(zipped({"saved_model.pb": bytes(20_000_000)}))
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (1000).to_bytes(4, "little")
    with pytest.raises(SourceError, match=r"damaged or incomplete|unpacks to"):
        unpacked(bytes(content), tmp_path)
    assert sum(path.stat().st_size for path in (tmp_path / "in").rglob("*")) < 11_000_000


@pytest.mark.parametrize("kind", [tar, zipped])
def test_what_shrinks_as_models_do_is_no_bomb(tmp_path, kind):
    words = "\n".join(f"word{i}" for i in range(20_000)).encode()
    assert unpacked(kind({"vocab.txt": words}), tmp_path, Bounds(free_bytes=0))["vocab.txt"] == words


@pytest.mark.parametrize("kind", [tar, zipped])
def test_more_than_fits_any_model_is_refused_whatever_the_ratio(tmp_path, kind):
    with pytest.raises(SourceError, match="was refused: it unpacks to"):
        unpacked(kind(FILES), tmp_path, Bounds(num_bytes=20_000))


@pytest.mark.parametrize("kind", [tar, zipped])
def test_more_files_than_any_model_has_are_refused(tmp_path, kind):
    with pytest.raises(SourceError, match=r"unpacks to .*\d files"):
        unpacked(kind({str(i): b"" for i in range(21)}), tmp_path, Bounds(num_members=20))


def test_a_bomb_in_the_headers_of_a_tar_is_refused(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as file:
        member = tarfile.TarInfo("a")
        member.pax_headers = {"comment": "x" * 5_000_000}
        file.addfile(member)
    assert len(buffer.getvalue()) < 20_000
    with pytest.raises(SourceError, match="was refused: it unpacks to more"):
        unpacked(buffer.getvalue(), tmp_path)


def test_zeros_after_the_end_of_a_tar_are_a_bomb_too(tmp_path):
    content = gzip.compress(gzip.decompress(tar({"a": b"x"})) + bytes(50_000_000))
    with pytest.raises(SourceError, match="was refused"):
        unpacked(content, tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<html>", "a web page"),
        (b"Rar!\x1a", "starts with b'Rar!"),
        (gzip.compress(b"no tar", mtime=0), "damaged or incomplete"),
        (b"PK\x05\x06" + bytes(3), "damaged or incomplete"),
    ],
)
def test_what_is_no_archive_is_refused(tmp_path, content, words):
    with pytest.raises(SourceError, match=words):
        unpacked(content, tmp_path)


def test_how_much_room_will_be_needed(tmp_path):
    (tmp_path / "a.zip").write_bytes(zipped({"a": bytes(5000)}))
    assert unpacked_bytes(tmp_path / "a.zip") == 5000
    (tmp_path / "a.tar").write_bytes(tar(FILES, mode="w"))
    assert unpacked_bytes(tmp_path / "a.tar") == (tmp_path / "a.tar").stat().st_size


def test_every_ending_has_a_way_of_unpacking():
    assert archive.ARCHIVE_SUFFIXES == (".tar.gz", ".tgz", ".tar", ".zip")
