import errno
import hashlib
import json
import os
import re
import shutil
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest

from elmo_cli.elmo import source
from elmo_cli.elmo.fetching import known as known_table
from elmo_cli.elmo.fetching.known import KnownElmo
from elmo_cli.elmo.handles import local_files
from elmo_cli.elmo.source import ElmoSource, resolve
from elmo_cli.errors import SourceError

OPTIONS = b'{"lstm": {}, "char_cnn": {}}'
WEIGHTS = b"\x89HDF\r\n\x1a\n and more"


def put(directory: Path, **files: bytes) -> Path:
    """Writes files named by the keywords, ``__`` standing for the dot."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (directory / name.replace("__", ".")).write_bytes(content)
    return directory


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    directory = put(tmp_path / "hub", saved_model__pb=b"graph", tfhub_module__pb=b"\x08\x03")
    (directory / "variables").mkdir()
    (directory / "variables" / "variables.index").write_bytes(b"index")
    (directory / "variables" / "variables.data-00000-of-00001").write_bytes(b"data")
    return directory


@pytest.fixture
def allennlp(tmp_path: Path) -> Path:
    return put(tmp_path / "allennlp", options__json=OPTIONS, weights__hdf5=WEIGHTS)


def test_a_directory_with_options_and_weights_is_a_bilm(allennlp):
    found = resolve(str(allennlp))
    assert (found.kind, found.path) == ("bilm", allennlp)
    assert found.options_path == allennlp / "options.json"
    assert found.weights_path == allennlp / "weights.hdf5"
    assert len(found.fingerprint) == 64


def test_the_pair_may_have_the_names_allennlp_gives(tmp_path):
    directory = put(tmp_path / "a", elmo_2x_options__json=OPTIONS, elmo_2x_weights__hdf5=WEIGHTS)
    found = resolve(str(directory))
    assert found.options_path.name == "elmo_2x_options.json"
    assert found.weights_path.name == "elmo_2x_weights.hdf5"


def test_it_says_which_files_are_read(allennlp, hub):
    (allennlp / "vectors.npz").write_bytes(b"beside them")
    assert set(resolve(str(allennlp)).files()) == {allennlp / "options.json", allennlp / "weights.hdf5"}
    assert set(resolve(str(hub)).files()) == {path for path in hub.rglob("*") if path.is_file()}


def test_weights_are_told_from_other_hdf5_files(tmp_path):
    directory = put(
        tmp_path / "a", options__json=OPTIONS, lm_weights__hdf5=WEIGHTS, lm_embeddings__hdf5=WEIGHTS
    )
    assert resolve(str(directory)).weights_path.name == "lm_weights.hdf5"


def test_the_published_fixture_is_found(shared):
    found = resolve(str(shared / "elmo-fixture"))
    assert found.kind == "bilm"
    assert found.weights_path.name == "lm_weights.hdf5"


def test_a_directory_with_several_models_asks_which(tmp_path):
    directory = put(
        tmp_path / "a",
        a_options__json=OPTIONS,
        a_weights__hdf5=WEIGHTS,
        b_options__json=OPTIONS,
        b_weights__hdf5=WEIGHTS,
    )
    with pytest.raises(SourceError, match=r"several models \(a_options.json, b_options.json\)"):
        resolve(str(directory))
    assert resolve(str(directory / "b_options.json")).weights_path == directory / "b_weights.hdf5"


def test_either_file_of_a_pair_is_enough(allennlp):
    whole = resolve(str(allennlp))
    for name in ("options.json", "weights.hdf5"):
        found = resolve(str(allennlp / name))
        assert (found.options_path, found.weights_path) == (whole.options_path, whole.weights_path)
        assert found.fingerprint == whole.fingerprint


@pytest.mark.parametrize(("lonely", "missing"), [("weights", "options.json"), ("options", "weights.hdf5")])
def test_a_missing_partner_is_named(tmp_path, lonely, missing):
    name = "weights.hdf5" if lonely == "weights" else "options.json"
    (tmp_path / name).write_bytes(WEIGHTS if lonely == "weights" else OPTIONS)
    with pytest.raises(SourceError, match=rf"no .*{missing}.* found beside"):
        resolve(str(tmp_path / name))


def test_a_pair_may_lie_in_different_places_under_any_name(tmp_path, allennlp):
    options = put(tmp_path / "x", mine__json=OPTIONS) / "mine.json"
    weights = put(tmp_path / "y", yours__h5=WEIGHTS) / "yours.h5"
    found = resolve(f"{options}, {weights}")
    assert (found.options_path, found.weights_path) == (options, weights)
    assert found.fingerprint == resolve(str(allennlp)).fingerprint


@pytest.mark.parametrize("handle", ["weights.hdf5,options.json", "a.json,b.json", "a.json,b.hdf5,c.hdf5"])
def test_a_pair_in_another_form_is_refused(handle):
    with pytest.raises(SourceError, match=r"OPTIONS.json,WEIGHTS.hdf5 was expected"):
        resolve(handle)


def test_a_missing_file_of_a_pair_names_the_nearest(allennlp):
    with pytest.raises(SourceError, match=r"no file .*wieghts.hdf5; did you mean .*weights.hdf5\?"):
        resolve(f"{allennlp}/options.json,{allennlp}/wieghts.hdf5")


def test_a_directory_with_a_saved_model_is_a_hub_module(hub):
    found = resolve(str(hub))
    assert (found.kind, found.path) == ("hub", hub)
    assert found.options_path is None


def test_an_archive_has_the_fingerprint_of_its_content(hub, tmp_path, cache):
    for wrapped in (".", "elmo_3"):
        path = tmp_path / f"module{len(wrapped)}.tar.gz"
        with tarfile.open(path, "w:gz") as file:
            file.add(hub, arcname=wrapped)
        found = resolve(str(path))
        assert found.kind == "hub"
        assert found.path.is_relative_to(cache)
        assert found.fingerprint == resolve(str(hub)).fingerprint


def test_an_archive_may_hold_a_bilm(allennlp, tmp_path):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as file:
        file.add(allennlp, arcname="model")
    assert resolve(str(tmp_path / "a.tgz")).fingerprint == resolve(str(allennlp)).fingerprint


def test_the_fingerprint_knows_content_not_place(hub, allennlp, tmp_path):
    for directory, name in ((hub, "saved_model.pb"), (allennlp, "weights.hdf5"), (allennlp, "options.json")):
        copy = shutil.copytree(directory, tmp_path / f"copy of {name}")
        assert resolve(str(copy)).fingerprint == resolve(str(directory)).fingerprint
        (copy / name).write_bytes((copy / name).read_bytes() + b" ")
        assert resolve(str(copy)).fingerprint != resolve(str(directory)).fingerprint


def test_an_incomplete_module_is_refused(hub):
    (hub / "variables" / "variables.index").unlink()
    with pytest.raises(SourceError, match=r"incomplete, variables.index missing"):
        resolve(str(hub))


def test_a_directory_without_a_model_says_what_was_looked_for(tmp_path):
    with pytest.raises(SourceError, match=r"neither saved_model.pb .* nor options.json.*found there: a.txt"):
        resolve(str(put(tmp_path / "empty", a__txt=b"")))


def test_a_slip_names_the_nearest_and_all_forms(allennlp):
    with pytest.raises(SourceError) as caught:
        resolve(f"{allennlp.parent}/alennlp")
    message = str(caught.value)
    assert f"did you mean {allennlp}?" in message
    for form in ("bundled", "https://", "MODULE.tar.gz", "OPTIONS.json,WEIGHTS.hdf5"):
        assert form in message


@pytest.mark.parametrize("handle", ["", "  ", "no/such/thing", "gs://bucket/elmo", "https://", "ftp://x/y"])
def test_other_handles_are_refused_with_the_forms(handle):
    with pytest.raises(SourceError, match="A handle is one of"):
        resolve(handle)


@pytest.mark.parametrize("handle", ["http://[::1/x.zip", "http://a..b/x.zip", "https://[/o.json,w.hdf5"])
def test_what_cannot_be_an_address_is_refused(handle, tmp_path, monkeypatch):
    (tmp_path / "w.hdf5").write_bytes(WEIGHTS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"http.* is not a valid address"):
        resolve(handle)


def test_an_address_with_a_password_is_refused_without_showing_it(server):
    address = server.url.replace("http://", "http://me:secret@")
    with pytest.raises(SourceError, match=r"user name or password.*give the file's path") as caught:
        resolve(f"{address}/m.tar.gz")
    assert "secret" not in str(caught.value)
    assert server.requests == []


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"ends in \.rar is not known"):
        resolve(str(put(tmp_path / "a", model__rar=b"Rar!") / "model.rar"))


def test_the_bundled_model_is_the_default_of_its_table(allennlp, monkeypatch):
    monkeypatch.setattr(source, "BUNDLED_DIRECTORY", allennlp.parent)
    monkeypatch.setattr(source, "BUNDLED", {"allennlp": "", "other": ""})
    assert resolve("bundled").path == allennlp
    assert resolve("bundled:allennlp").fingerprint == resolve(str(allennlp)).fingerprint
    with pytest.raises(SourceError, match=r"not found in .*installation"):
        resolve("bundled:other")
    with pytest.raises(SourceError, match="there is: allennlp, other"):
        resolve("bundled:third")


def test_urls_of_both_files(server):
    server.pages = {"/o.json": OPTIONS, "/w.hdf5": WEIGHTS}
    found = resolve(f"{server.url}/o.json,{server.url}/w.hdf5")
    assert found.kind == "bilm"
    assert found.options_path.read_bytes() == OPTIONS
    server.stop()
    assert resolve(f"{server.url}/o.json,{server.url}/w.hdf5", offline=True) == found


def test_offline_a_pair_of_urls_says_how_to_fetch_both(server):
    pair = f"{server.url}/o.json,{server.url}/w.hdf5"
    with pytest.raises(SourceError, match=rf"o\.json is not in the cache.*elmo-fetch {re.escape(pair)}\."):
        resolve(pair, offline=True)


@pytest.mark.parametrize("query", ["", "?download=true"])
@pytest.mark.parametrize("name", ["elmo_options.json", "elmo_weights.hdf5"])
def test_the_url_of_either_file(server, name, query):
    server.pages = {"/m/elmo_options.json": OPTIONS, "/m/elmo_weights.hdf5": WEIGHTS}
    found = resolve(f"{server.url}/m/{name}{query}")
    assert found.handle == f"{server.url}/m/{name}{query}"
    assert found.weights_path.read_bytes() == WEIGHTS
    assert {path.partition("?")[2] for path, _ in server.requests} == {query.removeprefix("?")}


def test_urls_of_both_files_may_have_a_query(server):
    server.pages = {"/o.json": OPTIONS, "/w.hdf5": WEIGHTS}
    found = resolve(f"{server.url}/o.json?download=true,{server.url}/w.hdf5?download=true")
    assert found.weights_path.name == "w.hdf5"


def test_the_url_of_a_module(server, hub, tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as file:
        file.add(hub, arcname=".")
    server.pages["/a.tar.gz"] = (tmp_path / "a.tar.gz").read_bytes()
    assert resolve(f"{server.url}/a.tar.gz").fingerprint == resolve(str(hub)).fingerprint


def test_a_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path / "file"))
    with pytest.raises(SourceError, match="ELMO_CLI_CACHE"):
        resolve("http://127.0.0.1:9/a.tar.gz")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_said(allennlp):
    (allennlp / "weights.hdf5").chmod(0)
    with pytest.raises(SourceError, match=r"weights.hdf5: Permission denied"):
        resolve(str(allennlp))


def test_a_relative_handle_becomes_an_absolute_path(allennlp, monkeypatch):
    monkeypatch.chdir(allennlp.parent)
    assert resolve("allennlp").path == allennlp


def test_json_and_back(allennlp, hub):
    for handle in (allennlp, hub):
        found = resolve(str(handle))
        assert ElmoSource.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_handle_that_may_not_even_be_looked_at_is_said(tmp_path, monkeypatch):
    def denied(self):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "exists", denied)
    with pytest.raises(SourceError, match=r"elmo: Permission denied"):
        resolve(str(tmp_path / "elmo"))


@pytest.mark.parametrize("handle", ["~no-such-user/elmo", "~no-such-user/o.json,~no-such-user/w.hdf5"])
def test_a_home_that_nobody_has_is_said(handle):
    with pytest.raises(SourceError, match="no home directory for the ~"):
        resolve(handle)


@pytest.fixture
def known(server, monkeypatch):
    """A public ELMo with two addresses, each a pair, and one with two addresses of a module."""
    pairs = tuple((f"{server.url}/{i}/o_options.json", f"{server.url}/{i}/o_weights.hdf5") for i in (1, 2))
    modules = ((f"{server.url}/old/m",), (f"{server.url}/new/m.tar.gz",))
    table = tuple(
        KnownElmo(name, addresses, "English", "news", "free", "https://example.org")
        for name, addresses in (("test:pair", pairs), ("test:module", modules))
    )
    monkeypatch.setattr(known_table, "KNOWN", table)


def serve_pair(server, number: int) -> None:
    server.pages |= {f"/{number}/o_options.json": OPTIONS, f"/{number}/o_weights.hdf5": WEIGHTS}


def test_a_public_elmo_comes_from_its_first_address(server, known):
    serve_pair(server, 1)
    found = resolve("test:pair")
    assert (found.handle, found.kind) == ("test:pair", "bilm")
    assert [path for path, _ in server.requests] == ["/1/o_options.json", "/1/o_weights.hdf5"]
    assert resolve(str(found.path)).fingerprint == found.fingerprint


def test_the_next_address_is_tried_where_the_first_does_not_give_it(server, known, allennlp):
    serve_pair(server, 2)
    assert resolve("test:pair").fingerprint == resolve(str(allennlp)).fingerprint
    server.stop()
    assert resolve("test:pair", offline=True).weights_path.read_bytes() == WEIGHTS


def test_when_no_address_gives_it_all_are_named_with_what_they_said(server, known):
    server.pages["/new/m.tar.gz"] = b"<html>Log in</html>"
    with pytest.raises(SourceError) as caught:
        resolve("test:module")
    first, old, new, way_out = str(caught.value).splitlines()
    assert first == "ELMo test:module: none of its 2 addresses gives it."
    assert old.startswith(f"  {server.url}/old/m?tf-hub-format=compressed does not exist (HTTP 404)")
    assert new.startswith(f"  {server.url}/new/m.tar.gz is a web page")
    assert way_out.startswith("Or download it with a browser")


def test_a_public_elmo_is_found_in_the_cache_under_any_of_its_addresses(server, known, hub, tmp_path):
    server.pages["/new/m.tar.gz"] = packed(hub, tmp_path)
    by_address = resolve(f"{server.url}/new/m.tar.gz")
    num_requests = len(server.requests)
    assert resolve("test:module").path == by_address.path
    assert resolve(f"{server.url}/old/m", offline=True).path == by_address.path
    assert len(server.requests) == num_requests


def test_offline_a_public_elmo_says_how_to_fetch_it(server, known):
    with pytest.raises(SourceError, match=r"test:pair is not in the cache .* elmo-fetch test:pair"):
        resolve("test:pair", offline=True)
    assert server.requests == []


def test_the_environment_forbids_the_network_for_all_forms(server, known, monkeypatch):
    monkeypatch.setenv("ELMO_CLI_OFFLINE", "1")

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "create_connection", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    for handle in (
        "test:pair",
        "test:module",
        f"{server.url}/m",
        f"{server.url}/o.json,{server.url}/w.hdf5",
        "nlpl:1",
    ):
        with pytest.raises(SourceError, match="not in the cache"):
            resolve(handle)


def test_a_path_goes_before_a_name(known, allennlp, monkeypatch):
    monkeypatch.chdir(allennlp.parent)
    allennlp.rename("test:pair")
    assert resolve("test:pair").path == allennlp.parent / "test:pair"


def test_a_slip_in_a_name_is_told(known):
    with pytest.raises(SourceError, match=r"did you mean test:module\?"):
        resolve("test:modul")


def packed(directory: Path, tmp_path: Path) -> bytes:
    with tarfile.open(tmp_path / "packed.tar.gz", "w:gz") as file:
        file.add(directory, arcname=".")
    return (tmp_path / "packed.tar.gz").read_bytes()


def test_a_zip_of_nlpl_on_disk(tmp_path, allennlp):
    with zipfile.ZipFile(tmp_path / "216.zip", "w") as file:
        file.writestr("options.json", OPTIONS)
        file.writestr("model.hdf5", WEIGHTS)
        file.writestr("vocab.txt", "<S>\n</S>\n<UNK>\nord\n")
        file.writestr("meta.json", "{}")
        file.writestr("README", "")
    (tmp_path / "216.zip").rename(tmp_path / "216.ZIP")
    found = resolve(str(tmp_path / "216.ZIP"))
    assert found.weights_path.name == "model.hdf5"
    assert found.fingerprint == resolve(str(allennlp)).fingerprint


def test_the_checksum_may_be_that_of_the_archive_the_weights_or_the_fingerprint(
    server, hub, allennlp, tmp_path
):
    content = server.pages["/m.tar.gz"] = packed(hub, tmp_path)
    (tmp_path / "m.tar.gz").write_bytes(content)
    archive_sum, weights_sum = (hashlib.sha256(each).hexdigest() for each in (content, WEIGHTS))
    for handle in (f"{server.url}/m.tar.gz", str(tmp_path / "m.tar.gz")):
        for _ in range(2):  # the second time from the cache
            assert resolve(handle, sha256=archive_sum.upper()).kind == "hub"
        assert resolve(handle, sha256=resolve(handle).fingerprint).kind == "hub"
        with pytest.raises(SourceError, match=f"received archive {archive_sum}, fingerprint"):
            resolve(handle, sha256=weights_sum)
    with zipfile.ZipFile(tmp_path / "216.zip", "w") as file:
        for path in allennlp.iterdir():
            file.write(path, path.name)
    zip_sum = hashlib.sha256((tmp_path / "216.zip").read_bytes()).hexdigest()
    with pytest.raises(SourceError, match=f"received archive {zip_sum}, weights {weights_sum}, fingerprint"):
        resolve(str(tmp_path / "216.zip"), sha256="0" * 64)
    assert resolve(str(allennlp), sha256=weights_sum).kind == "bilm"
    with pytest.raises(SourceError, match=f"received weights {weights_sum}, fingerprint") as refusal:
        resolve(str(allennlp), sha256=archive_sum)
    assert "Remove" not in str(refusal.value)  # it is the user's own
    with pytest.raises(SourceError, match=r"Remove .* to fetch it again, or correct the number"):
        resolve(f"{server.url}/m.tar.gz", sha256=weights_sum)


def test_an_address_may_hold_a_comma(server, hub, tmp_path):
    server.pages["/elmo,v2.tar.gz"] = packed(hub, tmp_path)
    assert resolve(f"{server.url}/elmo,v2.tar.gz?a=1,2").kind == "hub"


def test_what_a_storage_service_signed_is_asked_for_as_it_is(server, hub, tmp_path):
    server.pages["/elmo"] = packed(hub, tmp_path)
    assert resolve(f"{server.url}/elmo?X-Amz-Signature=abc").kind == "hub"
    assert server.requests == [("/elmo?X-Amz-Signature=abc", None)]


def test_what_is_too_long_for_a_path_is_none():
    assert local_files("x" * 300) == ()
