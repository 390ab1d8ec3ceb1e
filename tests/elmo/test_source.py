import errno
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from elmo_cli.elmo import source
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


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"ends in \.zip is not known"):
        resolve(str(put(tmp_path / "a", model__zip=b"PK") / "model.zip"))


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


@pytest.mark.parametrize("name", ["elmo_options.json", "elmo_weights.hdf5"])
def test_the_url_of_either_file(server, name):
    server.pages = {"/m/elmo_options.json": OPTIONS, "/m/elmo_weights.hdf5": WEIGHTS}
    found = resolve(f"{server.url}/m/{name}")
    assert found.handle == f"{server.url}/m/{name}"
    assert found.weights_path.read_bytes() == WEIGHTS


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
