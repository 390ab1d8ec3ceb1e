"""The ELMo that a run keeps is whole, whatever it was copied from."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from elmo_cli.elmo.source import ElmoSource, resolve
from elmo_cli.errors import RunError
from elmo_cli.workflows.own_elmo import copy_elmo, remove_elmo
from elmo_cli.workflows.run_directory import RunDirectory


@pytest.fixture
def kept(tiny: Path, tmp_path: Path) -> RunDirectory:
    """A run that keeps an ELMo."""
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(tiny / "elmo", run.own_elmo)
    return run


def test_a_copy_has_the_fingerprint_and_replaces_another(
    kept: RunDirectory, tiny: Path, tmp_path: Path
) -> None:
    (kept.own_elmo / "stray").write_text("of another ELMo")
    source = resolve(str(tiny / "elmo"))
    copy_elmo(source, kept)
    assert resolve(str(kept.own_elmo)).fingerprint == source.fingerprint
    assert sorted(path.name for path in kept.own_elmo.iterdir()) == ["options.json", "weights.hdf5"]
    assert [path.name for path in kept.model.iterdir()] == ["elmo"]


def test_what_is_there_already_stays(kept: RunDirectory, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(kept.path)
    for handle in (kept.own_elmo, tmp_path / "link" / "model" / "elmo"):
        source = resolve(str(handle))
        copy_elmo(source, kept)
        assert resolve(str(kept.own_elmo)).fingerprint == source.fingerprint


def test_a_module_that_is_there_already_stays(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    run.own_elmo.mkdir(parents=True)
    (run.own_elmo / "saved_model.pb").write_bytes(b"a graph")
    source = ElmoSource("own", "hub", run.own_elmo, "0" * 64)
    converted = replace(source, kind="bilm", options_path=tmp_path / "o", weights_path=tmp_path / "w")
    for one in (source, converted):
        copy_elmo(source, run)
        remove_elmo(run, unless=one)
        assert (run.own_elmo / "saved_model.pb").read_bytes() == b"a graph"


def test_half_of_it_may_be_there_already(kept: RunDirectory, tiny: Path) -> None:
    source = resolve(f"{tiny / 'elmo' / 'options.json'},{kept.own_elmo / 'weights.hdf5'}")
    copy_elmo(source, kept)
    assert resolve(str(kept.own_elmo)).fingerprint == source.fingerprint


def test_what_is_there_survives_a_copy_that_fails(
    kept: RunDirectory, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = resolve(str(kept.own_elmo)).fingerprint
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(RunError, match=r"cannot be copied \(No space left on device\)\. Is the disk full"):
        copy_elmo(resolve(str(tiny / "elmo")), kept)
    assert resolve(str(kept.own_elmo)).fingerprint == before
    assert [path.name for path in kept.model.iterdir()] == ["elmo"]
