import concurrent.futures
import errno
import hashlib
import io
import json
import os
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest
from fetch_data import ARCHIVE, MODULE, archive, content

from elmo_cli.elmo.fetching import fetch
from elmo_cli.elmo.fetching.download import Patience
from elmo_cli.elmo.fetching.fetch import (
    OFFLINE_VARIABLE,
    Terms,
    fetch_file,
    fetch_module,
    offline_wanted,
    origin_of,
    unpack_local,
)
from elmo_cli.errors import SourceError

QUICK = Terms(patience=Patience(timeout_s=5.0, num_retries=2, pause_s=0.001))
IMPATIENT = Terms(patience=Patience(num_retries=0, pause_s=0.001))


HDF5 = b"\x89HDF\r\n\x1a\n and so on"


def leftovers(cache: Path) -> list[str]:
    return sorted(
        path.name for path in cache.rglob("*") if path.suffix in (".part", ".validator", ".unpacking")
    )


def test_a_cold_download_is_unpacked_into_the_cache(server, cache):
    server.pages["/module.tar.gz"] = ARCHIVE
    place = fetch_module(f"{server.url}/module.tar.gz", QUICK)
    assert place.is_relative_to(cache)
    assert content(place) == MODULE
    assert leftovers(cache) == []
    record = json.loads(place.with_name(place.name + ".json").read_text())
    assert record["url"] == f"{server.url}/module.tar.gz"
    assert record["num_bytes"] == len(ARCHIVE)


def test_the_second_use_needs_no_network(server):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"
    first = fetch_module(url, QUICK)
    server.stop()
    assert fetch_module(url, QUICK) == first
    assert fetch_module(url, Terms(offline=True)) == first
    assert len(server.requests) == 1


def test_offline_and_not_cached_is_said_without_asking_the_network(server):
    with pytest.raises(SourceError, match="not in the cache"):
        fetch_module(f"{server.url}/module.tar.gz", Terms(offline=True))
    assert server.requests == []


def test_hub_handles_ask_for_the_archive(server):
    server.pages["/google/elmo/3"] = ARCHIVE
    fetch_module(f"{server.url}/google/elmo/3", QUICK)
    assert server.requests == [("/google/elmo/3?tf-hub-format=compressed", None)]


def test_other_query_parameters_stay(server):
    server.pages["/elmo"] = ARCHIVE
    fetch_module(f"{server.url}/elmo?version=3", QUICK)
    assert server.requests[0][0] == "/elmo?version=3&tf-hub-format=compressed"


def test_a_cut_download_goes_on_where_it_stopped(server):
    server.pages["/module.tar.gz"] = ARCHIVE
    server.cut_after = [1_500_000, 700_000]
    place = fetch_module(f"{server.url}/module.tar.gz", QUICK)
    assert content(place) == MODULE
    assert [wanted for _, wanted in server.requests] == [None, "bytes=1500000-", "bytes=2200000-"]


def test_a_later_process_resumes_too(server, cache):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"
    server.cut_after = [1_500_000]
    server.statuses = [200, 503]
    with pytest.raises(SourceError, match=r"goes on after 1,500,000 bytes"):
        fetch_module(url, IMPATIENT)
    assert len(leftovers(cache)) == 2
    assert content(fetch_module(url, QUICK)) == MODULE
    assert server.requests[-1][1] == "bytes=1500000-"
    assert leftovers(cache) == []


def test_a_part_of_a_file_that_changed_meanwhile_is_not_used(server):
    server.pages["/module.tar.gz"] = archive({"./saved_model.pb": os.urandom(2_000_000)})
    url = f"{server.url}/module.tar.gz"
    server.cut_after = [1_500_000]
    server.statuses = [200, 503]
    with pytest.raises(SourceError):
        fetch_module(url, IMPATIENT)
    server.pages["/module.tar.gz"] = ARCHIVE
    assert content(fetch_module(url, QUICK)) == MODULE


def test_a_part_that_is_whole_already_is_used(server, cache):
    url = f"{server.url}/module.tar.gz"
    server.pages["/module.tar.gz"] = ARCHIVE
    place = fetch_module(url, QUICK)
    for path in content(place):
        (place / path).unlink()
    place.rename(cache / "away")
    place.with_name(place.name + ".part").write_bytes(ARCHIVE)
    assert content(fetch_module(url, QUICK)) == MODULE
    assert server.requests[-1][1] == f"bytes={len(ARCHIVE)}-"


def test_a_server_without_ranges_sends_all_again(server):
    server.ranges = False
    server.pages["/module.tar.gz"] = ARCHIVE
    server.cut_after = [1_500_000]
    assert content(fetch_module(f"{server.url}/module.tar.gz", QUICK)) == MODULE
    assert len(server.requests) == 2


def test_a_server_that_always_cuts_at_the_same_place_is_given_up(server):
    server.ranges = False
    server.pages["/module.tar.gz"] = ARCHIVE
    server.cut_after = [1_500_000] * 10
    with pytest.raises(SourceError, match=r"3 times in a row: the connection ended after 1,500,000 of"):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)
    assert len(server.requests) == 4


def test_a_cut_that_no_length_betrays_is_found_when_unpacking(server, cache):
    server.content_length = False
    server.pages["/module.tar.gz"] = ARCHIVE[:-4]
    with pytest.raises(SourceError, match="damaged or incomplete"):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)
    assert leftovers(cache) == []


def test_passing_failures_are_tried_again(server):
    server.pages["/module.tar.gz"] = ARCHIVE
    server.statuses = [503, 502]
    assert content(fetch_module(f"{server.url}/module.tar.gz", QUICK)) == MODULE


def test_lasting_failures_end_with_the_status(server):
    server.statuses = [503] * 3
    with pytest.raises(SourceError, match=r"3 times in a row: HTTP Error 503.*browser"):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)


@pytest.mark.parametrize(
    ("status", "words"), [(404, "does not exist"), (403, "refused by the server"), (400, "HTTP 400")]
)
def test_refusals_are_not_tried_again(server, status, words):
    server.statuses = [status]
    with pytest.raises(SourceError, match=words) as caught:
        fetch_module(f"{server.url}/module.tar.gz", QUICK)
    assert "browser" in str(caught.value)
    assert len(server.requests) == 1


def test_no_network_is_said(server):
    server.stop()
    with pytest.raises(SourceError, match=r"cannot be reached: .*proxy"):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)


def test_a_silent_server_times_out():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/module.tar.gz"
        with pytest.raises(SourceError, match=r"2 times in a row: timed out"):
            fetch_module(url, Terms(patience=Patience(timeout_s=0.05, num_retries=1, pause_s=0.001)))


def test_a_web_page_instead_of_an_archive(server, cache):
    server.content_type = "text/html"
    server.pages["/module.tar.gz"] = b"<!doctype html><html>Please log in</html>"
    with pytest.raises(SourceError, match="is a web page"):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)
    assert leftovers(cache) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", "is empty"), (b"PK\x03\x04 a zip", "damaged or incomplete"), (b"Rar!", "starts with b.Rar")],
)
def test_something_else_instead_of_an_archive(server, body, words):
    server.pages["/module.tar.gz"] = body
    with pytest.raises(SourceError, match=words):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)


def test_damaged_bytes_are_found(server):
    damaged = bytearray(ARCHIVE)
    damaged[-2000] ^= 0xFF
    server.pages["/module.tar.gz"] = bytes(damaged)
    with pytest.raises(SourceError, match="damaged or incomplete"):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)


@pytest.mark.parametrize(
    "missing", ["./variables/variables.index", "./variables/variables.data-00000-of-00001"]
)
def test_a_module_without_all_its_variables_is_incomplete(server, missing):
    server.pages["/module.tar.gz"] = archive({name: MODULE[name] for name in MODULE if name != missing})
    with pytest.raises(SourceError, match=f"incomplete, {missing.rpartition('/')[2]} missing"):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)


def test_an_archive_without_a_model(server):
    server.pages["/module.tar.gz"] = archive({"readme.txt": b"hello"})
    with pytest.raises(SourceError, match=r"neither saved_model.pb .* found there: readme.txt"):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)


def test_after_a_failure_the_next_try_starts_afresh(server):
    server.pages["/module.tar.gz"] = b"<html>"
    with pytest.raises(SourceError):
        fetch_module(f"{server.url}/module.tar.gz", QUICK)
    server.pages["/module.tar.gz"] = ARCHIVE
    assert content(fetch_module(f"{server.url}/module.tar.gz", QUICK)) == MODULE


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
        fetch_module(f"{server.url}/module.tar.gz", QUICK)
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
    path = fetch_file(url, content="json", terms=QUICK)
    assert path.name == "x_options.json"
    assert path.read_bytes() == b'{"lstm": {}}'
    server.stop()
    assert fetch_file(url, content="json", terms=QUICK) == path


@pytest.mark.parametrize(
    ("kind", "body"), [("json", b"<html>"), ("json", b"[1]"), ("json", b"\xff\xfe"), ("hdf5", b"<html>")]
)
def test_a_single_file_of_another_format_is_refused(server, cache, kind, body):
    server.pages["/file"] = body
    with pytest.raises(SourceError, match=rf"is .*, not an? {kind.upper()} (file|object)\."):
        fetch_file(f"{server.url}/file", content=kind, terms=QUICK)
    assert leftovers(cache) == []


def test_an_address_that_is_none(server):
    with pytest.raises(SourceError, match="not a valid address"):
        fetch_module(f"{server.url}/a b\n.tar.gz", QUICK)


def test_those_who_want_the_same_module_at_once_download_it_once(server):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        places = set(pool.map(lambda _: fetch_module(url, QUICK), range(4)))
    assert len(places) == 1
    assert len(server.requests) == 1


def test_a_whole_download_outlives_an_interrupted_unpacking(server, cache, monkeypatch):
    server.pages["/module.tar.gz"] = ARCHIVE

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch.archive, "unpack", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_module(f"{server.url}/module.tar.gz", QUICK)
    assert content(fetch_module(f"{server.url}/module.tar.gz", QUICK)) == MODULE
    assert server.requests[-1][1] == f"bytes={len(ARCHIVE)}-"


ARCHIVE_SHA256 = hashlib.sha256(ARCHIVE).hexdigest()


def test_the_checksum_that_was_asked_for_is_checked(server, cache):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"
    with pytest.raises(SourceError, match=f"expected {'0' * 64}, received {ARCHIVE_SHA256}"):
        fetch_module(url, Terms(sha256="0" * 64))
    assert leftovers(cache) == []
    assert not [path for path in cache.rglob("*") if path.is_dir() and path.parent.name == "modules"]
    assert content(fetch_module(url, Terms(sha256=ARCHIVE_SHA256))) == MODULE


def test_the_checksum_of_a_pair_is_that_of_the_weights(server, cache):
    server.pages = {"/o.json": b"{}", "/w.hdf5": HDF5}
    asked = Terms(sha256=hashlib.sha256(HDF5).hexdigest())
    assert fetch_file(f"{server.url}/o.json", content="json", terms=asked).read_bytes() == b"{}"
    assert fetch_file(f"{server.url}/w.hdf5", content="hdf5", terms=asked).read_bytes() == HDF5
    server.pages["/w2.hdf5"] = HDF5 + b"x"
    with pytest.raises(SourceError, match="has not the SHA-256"):
        fetch_file(f"{server.url}/w2.hdf5", content="hdf5", terms=asked)
    assert leftovers(cache) == []


def test_a_zip_as_nlpl_packs_it(server):
    model = {
        "options.json": b"{}",
        "model.hdf5": HDF5,
        "vocab.txt": b"<S>\n</S>\n<UNK>\n",
        "meta.json": b"{}",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in model.items():
            file.writestr(name, body)
    server.pages["/20/216.zip"] = buffer.getvalue()
    place = fetch_module(f"{server.url}/20/216.zip", QUICK)
    assert content(place) == {f"./{name}": body for name, body in model.items()}
    assert server.requests == [("/20/216.zip", None)]


def test_a_download_of_kaggle_is_asked_for_as_it_stands(server):
    server.pages["/api/v1/models/google/elmo/tensorFlow1/elmo/3/download"] = ARCHIVE
    fetch_module(f"{server.url}/api/v1/models/google/elmo/tensorFlow1/elmo/3/download", QUICK)
    assert server.requests[0][0].endswith("/download")


def test_an_archive_of_other_files_under_the_names_of_a_model_is_not_kept(server, cache):
    server.pages["/m.tar.gz"] = archive({"options.json": b"{}", "weights.hdf5": b"<html>"})
    with pytest.raises(SourceError, match=r"weights.hdf5 is a web page .*, not an HDF5 file"):
        fetch_module(f"{server.url}/m.tar.gz", QUICK)
    assert not [path for path in cache.rglob("*") if path.is_dir() and path.parent.name == "modules"]


@pytest.mark.parametrize("missing", ["variables/variables.index", "saved_model.pb"])
def test_a_module_that_lost_files_in_the_cache_is_fetched_again(server, missing, caplog):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"
    place = fetch_module(url, QUICK)
    (place / missing).unlink()
    with pytest.raises(SourceError, match="not in the cache"):
        fetch_module(url, Terms(offline=True))
    assert content(fetch_module(url, QUICK)) == MODULE
    assert f"Files are missing in {place}: it is fetched again" in caplog.messages


def test_a_pair_stands_in_one_directory(server):
    server.pages = {"/o.json": b"{}", "/w.hdf5": HDF5}
    options = fetch_file(f"{server.url}/o.json", content="json", pair="o,w", terms=QUICK)
    weights = fetch_file(f"{server.url}/w.hdf5", content="hdf5", pair="o,w", terms=QUICK)
    assert options.parent == weights.parent
    assert sorted(path.name for path in options.parent.iterdir()) == ["o.json", "w.hdf5"]


def test_options_without_end_are_refused(server):
    server.pages["/o.json"] = b"{" + b" " * 2_000_000
    with pytest.raises(SourceError, match="no more than 1 MB are expected"):
        fetch_file(f"{server.url}/o.json", content="json", terms=QUICK)


def test_where_a_module_came_from_is_remembered(server, tmp_path):
    server.pages = {"/module.tar.gz": ARCHIVE, "/w.hdf5": HDF5}
    url = f"{server.url}/module.tar.gz"
    origin = origin_of(fetch_module(url, QUICK) / "variables")
    assert (origin.url, origin.sha256, origin.num_bytes) == (url, ARCHIVE_SHA256, len(ARCHIVE))
    weights = fetch_file(f"{server.url}/w.hdf5", content="hdf5", terms=QUICK)
    assert origin_of(weights).url == f"{server.url}/w.hdf5"
    (tmp_path / "a.tar.gz").write_bytes(archive({**MODULE, "more": b""}))
    assert origin_of(unpack_local(tmp_path / "a.tar.gz")).file == str(tmp_path / "a.tar.gz")
    assert origin_of(tmp_path) is None


@pytest.mark.parametrize(
    ("value", "offline"),
    [("1", True), ("yes", True), ("0", False), ("", False), ("No", False), ("off", False)],
)
def test_the_environment_can_forbid_the_network(monkeypatch, value, offline):
    monkeypatch.setenv(OFFLINE_VARIABLE, value)
    assert offline_wanted() is offline
    assert Terms().offline is offline


def test_a_full_disk_keeps_what_was_downloaded(server, cache, monkeypatch):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(fetch.archive, "unpack", full)
        with pytest.raises(OSError, match="No space left"):
            fetch_module(url, QUICK)
    assert [path.suffix for path in cache.rglob("*.part")] == [".part"]
    assert content(fetch_module(url, QUICK)) == MODULE
    assert server.requests[-1][1] == f"bytes={len(ARCHIVE)}-"
