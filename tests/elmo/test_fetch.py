import concurrent.futures
import io
import json
import os
import socket
import tarfile
from pathlib import Path

import pytest

from elmo_cli.elmo import fetch
from elmo_cli.elmo.fetch import Patience, fetch_file, fetch_module, unpack_local
from elmo_cli.errors import SourceError

QUICK = Patience(timeout_s=5.0, num_retries=2, pause_s=0.001)


def archive(files: dict[str, bytes], *, extra: list[tarfile.TarInfo] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
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


def leftovers(cache: Path) -> list[str]:
    return sorted(
        path.name for path in cache.rglob("*") if path.suffix in (".part", ".validator", ".unpacking")
    )


def test_a_cold_download_is_unpacked_into_the_cache(server, cache):
    server.pages["/module.tar.gz"] = ARCHIVE
    place = fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)
    assert place.is_relative_to(cache)
    assert content(place) == MODULE
    assert leftovers(cache) == []
    record = json.loads(place.with_name(place.name + ".json").read_text())
    assert record["url"] == f"{server.url}/module.tar.gz"
    assert record["num_bytes"] == len(ARCHIVE)


def test_the_second_use_needs_no_network(server):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"
    first = fetch_module(url, patience=QUICK)
    server.stop()
    assert fetch_module(url, patience=QUICK) == first
    assert fetch_module(url, offline=True) == first
    assert len(server.requests) == 1


def test_offline_and_not_cached_is_said_without_asking_the_network(server):
    with pytest.raises(SourceError, match="not in the cache"):
        fetch_module(f"{server.url}/module.tar.gz", offline=True)
    assert server.requests == []


def test_hub_handles_ask_for_the_archive(server):
    server.pages["/google/elmo/3"] = ARCHIVE
    fetch_module(f"{server.url}/google/elmo/3", patience=QUICK)
    assert server.requests == [("/google/elmo/3?tf-hub-format=compressed", None)]


def test_other_query_parameters_stay(server):
    server.pages["/elmo"] = ARCHIVE
    fetch_module(f"{server.url}/elmo?version=3", patience=QUICK)
    assert server.requests[0][0] == "/elmo?version=3&tf-hub-format=compressed"


def test_a_cut_download_goes_on_where_it_stopped(server):
    server.pages["/module.tar.gz"] = ARCHIVE
    server.cut_after = [1_500_000, 700_000]
    place = fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)
    assert content(place) == MODULE
    assert [wanted for _, wanted in server.requests] == [None, "bytes=1500000-", "bytes=2200000-"]


def test_a_later_process_resumes_too(server, cache):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"
    server.cut_after = [1_500_000]
    server.statuses = [200, 503]
    with pytest.raises(SourceError, match=r"goes on after 1,500,000 bytes"):
        fetch_module(url, patience=Patience(num_retries=0, pause_s=0.001))
    assert len(leftovers(cache)) == 2
    assert content(fetch_module(url, patience=QUICK)) == MODULE
    assert server.requests[-1][1] == "bytes=1500000-"
    assert leftovers(cache) == []


def test_a_part_of_a_file_that_changed_meanwhile_is_not_used(server):
    server.pages["/module.tar.gz"] = archive({"./saved_model.pb": os.urandom(2_000_000)})
    url = f"{server.url}/module.tar.gz"
    server.cut_after = [1_500_000]
    server.statuses = [200, 503]
    with pytest.raises(SourceError):
        fetch_module(url, patience=Patience(num_retries=0, pause_s=0.001))
    server.pages["/module.tar.gz"] = ARCHIVE
    assert content(fetch_module(url, patience=QUICK)) == MODULE


def test_a_part_that_is_whole_already_is_used(server, cache):
    url = f"{server.url}/module.tar.gz"
    server.pages["/module.tar.gz"] = ARCHIVE
    place = fetch_module(url, patience=QUICK)
    for path in content(place):
        (place / path).unlink()
    place.rename(cache / "away")
    place.with_name(place.name + ".part").write_bytes(ARCHIVE)
    assert content(fetch_module(url, patience=QUICK)) == MODULE
    assert server.requests[-1][1] == f"bytes={len(ARCHIVE)}-"


def test_a_server_without_ranges_sends_all_again(server):
    server.ranges = False
    server.pages["/module.tar.gz"] = ARCHIVE
    server.cut_after = [1_500_000]
    assert content(fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)) == MODULE
    assert len(server.requests) == 2


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(server):
    server.ranges = False
    server.pages["/module.tar.gz"] = ARCHIVE
    server.cut_after = [1_500_000] * 10
    with pytest.raises(SourceError, match=r"3 times in a row: the connection ended after 1,500,000 of"):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)
    assert len(server.requests) == 4


def test_a_cut_that_no_length_betrays_is_found_when_unpacking(server, cache):
    server.content_length = False
    server.pages["/module.tar.gz"] = ARCHIVE[:-4]
    with pytest.raises(SourceError, match="damaged or incomplete"):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)
    assert leftovers(cache) == []


def test_passing_failures_are_tried_again(server):
    server.pages["/module.tar.gz"] = ARCHIVE
    server.statuses = [503, 502]
    assert content(fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)) == MODULE


def test_lasting_failures_end_with_the_status(server):
    server.statuses = [503] * 3
    with pytest.raises(SourceError, match=r"3 times in a row: HTTP Error 503.*browser"):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)


@pytest.mark.parametrize(
    ("status", "words"), [(404, "does not exist"), (403, "refused by the server"), (400, "HTTP 400")]
)
def test_refusals_are_not_tried_again(server, status, words):
    server.statuses = [status]
    with pytest.raises(SourceError, match=words) as caught:
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)
    assert "browser" in str(caught.value)
    assert len(server.requests) == 1


def test_no_network_is_said(server):
    server.stop()
    with pytest.raises(SourceError, match=r"cannot be reached: .*proxy"):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)


def test_a_silent_server_times_out():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/module.tar.gz"
        with pytest.raises(SourceError, match=r"2 times in a row: timed out"):
            fetch_module(url, patience=Patience(timeout_s=0.05, num_retries=1, pause_s=0.001))


def test_a_web_page_instead_of_an_archive(server, cache):
    server.content_type = "text/html"
    server.pages["/module.tar.gz"] = b"<!doctype html><html>Please log in</html>"
    with pytest.raises(SourceError, match="is a web page"):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)
    assert leftovers(cache) == []


@pytest.mark.parametrize(("body", "words"), [(b"", "is empty"), (b"PK\x03\x04 a zip", "starts with b'PK")])
def test_something_else_instead_of_an_archive(server, body, words):
    server.pages["/module.tar.gz"] = body
    with pytest.raises(SourceError, match=words):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)


def test_damaged_bytes_are_found(server):
    damaged = bytearray(ARCHIVE)
    damaged[-2000] ^= 0xFF
    server.pages["/module.tar.gz"] = bytes(damaged)
    with pytest.raises(SourceError, match="damaged or incomplete"):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)


@pytest.mark.parametrize(
    "missing", ["./variables/variables.index", "./variables/variables.data-00000-of-00001"]
)
def test_a_module_without_all_its_variables_is_incomplete(server, missing):
    server.pages["/module.tar.gz"] = archive({name: MODULE[name] for name in MODULE if name != missing})
    with pytest.raises(SourceError, match=f"incomplete, {missing.rpartition('/')[2]} missing"):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)


def test_an_archive_without_a_model(server):
    server.pages["/module.tar.gz"] = archive({"readme.txt": b"hello"})
    with pytest.raises(SourceError, match=r"neither saved_model.pb .* found there: readme.txt"):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)


def test_after_a_failure_the_next_try_starts_afresh(server):
    server.pages["/module.tar.gz"] = b"<html>"
    with pytest.raises(SourceError):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)
    server.pages["/module.tar.gz"] = ARCHIVE
    assert content(fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)) == MODULE


def link(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize(
    ("files", "extra"),
    [
        ({"../outside": b"x"}, []),
        ({"variables/../../outside": b"x"}, []),
        ({"/tmp/outside": b"x"}, []),
        ({"..\\outside": b"x"}, []),
        ({"C:/outside": b"x"}, []),
        ({}, [link("variables", "/tmp", tarfile.SYMTYPE)]),
        ({}, [link("variables", "saved_model.pb", tarfile.LNKTYPE)]),
        ({}, [link("pipe", "", tarfile.FIFOTYPE)]),
    ],
)
def test_hostile_archives_are_refused(server, cache, files, extra):
    server.pages["/module.tar.gz"] = archive({"saved_model.pb": b"x", **files}, extra=extra)
    with pytest.raises(SourceError, match="was refused"):
        fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)
    assert not list(cache.parent.rglob("outside"))
    assert not list(cache.rglob("saved_model.pb"))


def test_a_local_archive_is_unpacked_once_wherever_it_lies(tmp_path, monkeypatch):
    path = tmp_path / "module.tar.gz"
    path.write_bytes(ARCHIVE)
    place = unpack_local(path)
    assert content(place) == MODULE
    moved = path.rename(tmp_path / "renamed.tgz")
    monkeypatch.setattr(fetch, "_install", None)  # calling it would fail
    assert unpack_local(moved) == place


def test_an_archive_unpacked_before_is_found_in_a_cache_that_may_only_be_read(tmp_path, monkeypatch):
    path = tmp_path / "module.tar.gz"
    path.write_bytes(ARCHIVE)
    place = unpack_local(path)
    monkeypatch.setattr(fetch.files, "lock", None)  # taking it would write, and fail here
    assert unpack_local(path) == place


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    path = tmp_path / "module.tar.gz"
    path.write_bytes(ARCHIVE)
    place = unpack_local(path)
    rubbish = place.with_name(place.name + ".unpacking")
    place.rename(rubbish)
    (rubbish / "rubbish").write_text("x")
    assert content(unpack_local(path)) == MODULE


def test_a_single_file_keeps_its_name_and_is_cached(server):
    server.pages["/x_options.json"] = b'{"lstm": {}}'
    url = f"{server.url}/x_options.json"
    path = fetch_file(url, content="json", patience=QUICK)
    assert path.name == "x_options.json"
    assert path.read_bytes() == b'{"lstm": {}}'
    server.stop()
    assert fetch_file(url, content="json", patience=QUICK) == path


@pytest.mark.parametrize(
    ("kind", "body"), [("json", b"<html>"), ("json", b"[1]"), ("json", b"\xff\xfe"), ("hdf5", b"<html>")]
)
def test_a_single_file_of_another_format_is_refused(server, cache, kind, body):
    server.pages["/file"] = body
    with pytest.raises(SourceError, match=f"did not give a {kind.upper()} file"):
        fetch_file(f"{server.url}/file", content=kind, patience=QUICK)
    assert leftovers(cache) == []


def test_an_address_that_is_none(server):
    with pytest.raises(SourceError, match="not a valid address"):
        fetch_module(f"{server.url}/a b\n.tar.gz", patience=QUICK)


def test_those_who_want_the_same_module_at_once_download_it_once(server):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        places = set(pool.map(lambda _: fetch_module(url, patience=QUICK), range(4)))
    assert len(places) == 1
    assert len(server.requests) == 1


def test_a_whole_download_outlives_an_interrupted_unpacking(server, cache, monkeypatch):
    server.pages["/module.tar.gz"] = ARCHIVE

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch.archive, "unpack", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)
    assert content(fetch_module(f"{server.url}/module.tar.gz", patience=QUICK)) == MODULE
    assert server.requests[-1][1] == f"bytes={len(ARCHIVE)}-"
