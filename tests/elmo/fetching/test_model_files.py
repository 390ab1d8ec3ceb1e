"""Which files make a whole model."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from elmo_cli.elmo.fetching.model_files import (
    check_content,
    check_hdf5,
    check_json,
    model_directory,
    options_files,
    with_partner,
)
from elmo_cli.errors import SourceError


def put(directory: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


INDEX = {"variables/variables.index": b"i"}
SHARD = {"variables/variables.data-00000-of-00001": b"d"}


def test_a_module_with_all_its_files(tmp_path):
    put(tmp_path, {"saved_model.pb": b"g", **INDEX, **SHARD})
    assert model_directory(tmp_path, "m") == tmp_path


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        (INDEX, "variables.data-00000-of-00001"),
        (SHARD, "variables.index"),
        ({"variables/other": b""}, "variables.data-00000-of-00001, variables.index"),
        ({**INDEX, "variables/variables.data-00001-of-00003": b"d"}, "00000-of-00003, .*00002-of-00003"),
    ],
)
def test_a_half_empty_module(tmp_path, files, missing):
    put(tmp_path, {"saved_model.pb": b"g", **files})
    with pytest.raises(SourceError, match=f"incomplete, .*{missing} missing"):
        model_directory(tmp_path, "m")


@pytest.mark.parametrize("operation", [b"VariableV2", b"VarHandleOp"])
def test_a_graph_with_variables_must_have_their_files(tmp_path, operation):
    put(tmp_path, {"saved_model.pb": b"graph with " + operation + b" and more"})
    with pytest.raises(SourceError, match=r"incomplete, .*variables.index missing"):
        model_directory(tmp_path, "m")


def test_a_constant_module_needs_no_variables(tmp_path):
    put(tmp_path, {"saved_model.pb": b"graph with Const"})
    assert model_directory(tmp_path, "m") == tmp_path


@pytest.mark.parametrize("empty", ["saved_model.pb", "variables/variables.index"])
def test_an_empty_file_is_as_good_as_none(tmp_path, empty):
    put(tmp_path, {"saved_model.pb": b"g", **INDEX, **SHARD, empty: b""})
    with pytest.raises(SourceError, match=r"incomplete, .* is empty"):
        model_directory(tmp_path, "m")


def test_the_only_directory_inside_is_looked_into(tmp_path):
    put(tmp_path / "216", {"model.hdf5": b"", "options.json": b"", "meta.json": b"", "vocab.txt": b""})
    put(tmp_path, {".DS_Store": b"", "__MACOSX/216/._model.hdf5": b""})
    assert model_directory(tmp_path, "m") == tmp_path / "216"


def test_what_a_mac_puts_beside_the_files_is_no_file_of_the_model(tmp_path):
    beside = {f"._{name}": b"\x00\x05\x16\x07" for name in ("elmo_options.json", "elmo_weights.hdf5")}
    put(tmp_path, {"elmo_options.json": b"{}", "elmo_weights.hdf5": b"\x89HDF\r\n\x1a\n", **beside})
    check_content(model_directory(tmp_path, "m"), "m")
    assert options_files(tmp_path) == [tmp_path / "elmo_options.json"]
    lonely = put(tmp_path / "b", {"options.json": b"{}", "model.hdf5": b"", "._model.hdf5": b""})
    assert with_partner("m", lonely / "options.json")[1] == lonely / "model.hdf5"


def test_a_shard_may_not_promise_more_of_them_than_can_be_named(tmp_path):
    put(tmp_path, {"saved_model.pb": b"g", **INDEX, "variables/variables.data-00000-of-99999999999": b"d"})
    with pytest.raises(SourceError, match=r"incomplete, variables\.data-00001-of-99999999999, .* missing"):
        model_directory(tmp_path, "m")


def test_elmo_for_many_langs_is_told_from_elmo(tmp_path):
    put(tmp_path, {"encoder.pkl": b"", "token_embedder.pkl": b"", "config.json": b"{}", "char.dic": b""})
    with pytest.raises(SourceError, match="is a model of ELMoForManyLangs"):
        model_directory(tmp_path, "m")


def test_word_vectors_are_no_elmo(tmp_path):
    put(tmp_path, {"model.txt": b"", "meta.json": b"{}"})
    with pytest.raises(SourceError, match=r"neither saved_model.pb .* found there: meta.json, model.txt"):
        model_directory(tmp_path, "m")


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_weights_must_be_as_long_as_they_say(tmp_path, version):
    path = tmp_path / "weights.hdf5"
    with h5py.File(path, "w", libver=version) as file:
        file["a"] = np.zeros(1000, np.float32)
    check_hdf5(path, "W")
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(
        SourceError, match=rf"W is incomplete: {len(content) - 1:,} of {len(content):,} bytes"
    ):
        check_hdf5(path, "W")


@pytest.mark.parametrize(
    ("content", "looks"), [(b"", "empty"), (b" <html>", "a web page"), (b"PK", "starts with b'PK'")]
)
def test_what_came_instead_is_said(tmp_path, content, looks):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"F is .*{looks}.*, not an HDF5 file"):
        check_hdf5(path, "F")
    with pytest.raises(SourceError, match=rf"F is .*{looks}.*, not a JSON object"):
        check_json(path, "F")


def test_files_of_another_kind_under_the_names_of_a_model(tmp_path):
    put(tmp_path, {"options.json": b"{}", "weights.hdf5": b"not found"})
    with pytest.raises(SourceError, match=r"m: weights.hdf5 is .*, not an HDF5 file"):
        check_content(tmp_path, "m")
    put(tmp_path, {"options.json": b"[]", "weights.hdf5": b"\x89HDF\r\n\x1a\n"})
    with pytest.raises(SourceError, match=r"m: options.json is .*, not a JSON object"):
        check_content(tmp_path, "m")
