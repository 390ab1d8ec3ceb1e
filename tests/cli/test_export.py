"""elmo-export says what is wrong, with the right exit code, and leaves nothing half done."""

import errno
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from tiny_run import invoke, write_elmo

from elmo_cli.workflows import export


def refused(code: int, *arguments: object) -> str:
    """Runs the command, which must end with the code; returns what it says."""
    result = invoke("export", *arguments)
    assert result.exit_code == code, result.output
    return str(result.stderr)


@pytest.fixture
def no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said must be said before TensorFlow is started."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("TensorFlow was started")

    monkeypatch.setattr("elmo_cli.cli.export.start_tensorflow", fail)


def test_an_elmo_cannot_be_served(tiny: Path, tmp_path: Path, no_tensorflow: None) -> None:
    for handle in (tiny / "elmo", "bundled"):
        said = refused(2, handle, "--to", "serving", "-o", tmp_path / "out")
        assert "--to serving writes a trained classifier, so it needs a run directory" in said
        assert str(handle) in said


def test_a_run_that_is_not_there_or_not_finished(run: Path, tmp_path: Path, no_tensorflow: None) -> None:
    said = refused(2, tmp_path / "nothing", "--to", "serving", "-o", tmp_path / "out")
    assert "nothing is none. Train one with elmo-train" in said
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"status": "running"}))
    for form in ("serving", "hub", "hdf5"):
        said = refused(2, run, "--to", form, "-o", tmp_path / "out")
        assert "training was not finished" in said
    assert not (tmp_path / "out").exists()


def test_a_handle_that_leads_nowhere(tmp_path: Path, no_tensorflow: None) -> None:
    said = refused(4, tmp_path / "nothing", "--to", "hub", "-o", tmp_path / "out")
    assert "there is no such file or directory" in said


def test_the_place_of_an_elmo_is_told_for_a_run_only(tiny: Path, tmp_path: Path, no_tensorflow: None) -> None:
    arguments = [tiny / "elmo", "--to", "hub", "-o", tmp_path / "out", "--elmo", tiny / "elmo"]
    assert "--elmo says where the ELMo of a run is" in refused(2, *arguments)


def test_what_is_there_is_not_touched(tiny: Path, tmp_path: Path, no_tensorflow: None) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for origin, form in ((tiny / "run", "serving"), (tiny / "elmo", "hdf5")):
        assert "is not empty, so nothing in it is touched" in refused(2, origin, "--to", form, "-o", tmp_path)
    said = refused(2, tiny / "run", "--to", "hub", "-o", tmp_path / "mine.txt")
    assert "mine.txt is a file" in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_options_are_asked_for(tiny: Path, tmp_path: Path) -> None:
    assert "Missing option '--to'" in refused(2, tiny / "run", "-o", tmp_path / "out")
    assert "Missing option '-o'" in refused(2, tiny / "run", "--to", "hub")
    assert "'onnx' is not one of" in refused(2, tiny / "run", "--to", "onnx", "-o", tmp_path / "out")


@pytest.mark.parametrize("form", ["serving", "hdf5"])
def test_a_run_whose_elmo_is_missing_or_changed(run: Path, tmp_path: Path, form: str) -> None:
    model = json.loads((run / "model" / "model.json").read_text())
    model["elmo"]["handle"] = str(tmp_path / "gone")
    (run / "model" / "model.json").write_text(json.dumps(model))
    said = refused(4, run, "--to", form, "-o", tmp_path / "out")
    assert "trained on an ELMo that is not there any more" in said
    assert str(tmp_path / "gone") in said
    other = write_elmo(tmp_path / "other", seed=8)
    said = refused(2, run, "--to", form, "-o", tmp_path / "out", "--elmo", other)
    assert "The weights behind it have changed" in said
    assert not (tmp_path / "out").exists()


def test_a_moved_elmo_is_told(run: Path, tiny: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(tiny / "elmo", tmp_path / "moved")
    model = json.loads((run / "model" / "model.json").read_text())
    model["elmo"]["handle"] = str(tmp_path / "gone")
    (run / "model" / "model.json").write_text(json.dumps(model))
    result = invoke("export", run, "--to", "hdf5", "-o", tmp_path / "out", "--elmo", moved)
    assert result.exit_code == 0, result.output
    assert f"{tmp_path / 'out'} is written" in result.stderr


class _HashedWords(tf.Module):
    """Texts to vectors by no network of ours."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        numbers = [tf.strings.to_hash_bucket_strong(texts, 997, key=[key, 0]) for key in range(3)]
        return tf.cast(tf.stack(numbers, axis=1), tf.float32)


@pytest.mark.parametrize("form", ["hub", "hdf5"])
def test_a_module_with_a_graph_of_its_own_keeps_its_format(tmp_path: Path, form: str) -> None:
    tf.saved_model.save(_HashedWords(), str(tmp_path / "module"))
    said = refused(4, tmp_path / "module", "--to", form, "-o", tmp_path / "out")
    assert "works through its own graph, so it cannot be written in another format" in said
    assert [path.name for path in tmp_path.iterdir()] == ["module"]


def test_allennlp_cannot_leave_out_sentence_marks(tiny: Path, tmp_path: Path) -> None:
    origin = Path(shutil.copytree(tiny / "elmo", tmp_path / "origin"))
    options = json.loads((origin / "options.json").read_text())
    (origin / "options.json").write_text(json.dumps({"sentence_marks": False, **options}))
    said = refused(4, origin, "--to", "hdf5", "-o", tmp_path / "out")
    assert "reads no marks at the begin and end of a sentence" in said
    assert "Use --to hub" in said


@pytest.mark.parametrize("of_tensorflow", [True, False], ids=["of TensorFlow", "of Python"])
def test_a_full_disk_leaves_nothing(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of_tensorflow: bool
) -> None:
    def fail(_: object, __: object, directory: Path) -> None:
        (directory / "half").write_text("half of it")
        if of_tensorflow:
            said = f"{{{{node x}}}} {directory}/b.tmp; No space left on device [Op:SaveV2]"
            raise tf.errors.ResourceExhaustedError(None, None, said)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export, "write_hub_module", fail)
    said = refused(2, tiny / "elmo", "--to", "hub", "-o", tmp_path / "out")
    assert "out cannot be written: No space left on device. Choose another -o, or make room there." in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.NotFoundError(None, None, "/elsewhere/variables.index; No such file or directory"),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9]"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/elsewhere/saved_model.pb"),
    ],
    ids=["a file", "memory", "a file of Python"],
)
@pytest.mark.parametrize("step", ["servable", "write_saved_model"])
def test_what_is_not_about_the_output_does_not_blame_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(export, step, fail)
    said = refused(1, run, "--to", "serving", "-o", tmp_path / "out")
    assert f"{tmp_path / 'out'}" not in said
    assert "cannot be written" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_temporary_folder_is_told_of_itself(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object, directory: Path) -> None:
        said = f"{directory}/saved_model.pb; No space left on device"
        raise tf.errors.ResourceExhaustedError(None, None, said)

    (tmp_path / "small").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "small"))
    monkeypatch.setattr(export, "servable", fail)
    said = refused(2, run, "--to", "serving", "-o", tmp_path / "out")
    # In front of it, on some processors, stands that the run was trained in bfloat16.
    assert f"Error: {tmp_path / 'small'}" in said
    assert "cannot be written: No space left on device. Make room there, or set TMPDIR" in said
    assert list((tmp_path / "small").iterdir()) == []
    assert not (tmp_path / "out").exists()


def unreadable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of this name can be read; permissions would not stop an administrator."""
    really = Path.open

    def read(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if path.name == name and "r" in mode:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return really(path, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", read)


@pytest.mark.parametrize(
    ("name", "form"), [("MODEL_CARD.md", "hub"), ("LICENSE", "hub"), ("vocab.txt", "hdf5")]
)
def test_a_file_of_the_source_that_cannot_be_read_is_named(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, form: str
) -> None:
    origin = Path(shutil.copytree(tiny / "elmo", tmp_path / "origin"))
    (origin / name).write_text("of the source")
    unreadable(name, monkeypatch)
    said = refused(4, origin, "--to", form, "-o", tmp_path / "out")
    assert f"{origin / name} cannot be read (Permission denied). Make it readable, or move it away." in said
    assert [path.name for path in tmp_path.iterdir()] == ["origin"]


def test_a_card_of_a_run_that_cannot_be_read_is_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable("MODEL_CARD.md", monkeypatch)
    said = refused(2, run, "--to", "serving", "-o", tmp_path / "out")
    assert f"{run / 'MODEL_CARD.md'} cannot be read (Permission denied)." in said
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
