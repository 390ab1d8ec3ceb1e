"""What elmo-eval and elmo-predict say of a directory that is not a whole run."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import invoke, write_elmo


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "running": (lambda run: edit(run / "run.json", status="running"), "it still runs, or was killed"),
    "failed": (lambda run: edit(run / "run.json", status="failed"), "training failed. Go on with elmo-train"),
    "later format": (lambda run: edit(run / "run.json", format_version=99), "has format version 99"),
    "run.json cut": (lambda run: (run / "run.json").write_text('{"form'), "run.json is damaged"),
    "run.json a list": (lambda run: (run / "run.json").write_text("[]"), "run.json is damaged"),
    "run.json without status": (
        lambda run: (run / "run.json").write_text('{"format_version": 1}'),
        "'status' is missing",
    ),
    "run.json gone": (lambda run: (run / "run.json").unlink(), "is not a run directory"),
    "no run": (shutil.rmtree, "does not exist. Give the directory that elmo-train wrote"),
    "preprocessor.json cut": (
        lambda run: (run / "preprocessor.json").write_text('{"a": '),
        "preprocessor.json is damaged",
    ),
    "preprocessor.json binary": (
        lambda run: (run / "preprocessor.json").write_bytes(b"\xff\xfe\x00"),
        "preprocessor.json cannot be read",
    ),
    "preprocessor.json gone": (
        lambda run: (run / "preprocessor.json").unlink(),
        "preprocessor.json cannot be read",
    ),
    "other labels": (
        lambda run: edit(run / "preprocessor.json", labels=["a", "kitchen", "sky"]),
        "do not belong together",
    ),
    "model.json cut": (lambda run: (run / "model/model.json").write_text("{"), "model.json cannot be read"),
    "model.json gone": (lambda run: (run / "model/model.json").unlink(), "model.json is missing"),
    "weights cut": (
        lambda run: (run / "model/classifier.weights.h5").write_bytes(b"\x89HDF"),
        "classifier.weights.h5",
    ),
    "config.yaml cut": (lambda run: (run / "config.yaml").write_text("data: ["), "not valid YAML"),
    "config.yaml gone": (lambda run: (run / "config.yaml").unlink(), "config.yaml cannot be read"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_ends_with_2_and_the_way_out(tiny: Path, run: Path, name: str) -> None:
    damage, message = DAMAGE[name]
    damage(run)
    for command in (["eval", run, tiny / "test.csv"], ["predict", run, "a rainy day"]):
        result = invoke(*command)  # type: ignore[arg-type]
        assert result.exit_code == 2, result.output
        assert message in result.stderr
        assert str(run) in result.stderr
        assert result.stdout == ""


def test_a_killed_replacement_names_the_run_that_is_kept(tiny: Path, run: Path) -> None:
    shutil.copytree(run, run.with_name("run.replaced"))
    edit(run / "run.json", status="running")
    result = invoke("predict", run, "a rainy day")
    assert f"The run it was to replace is {run.with_name('run.replaced')}." in result.stderr


@pytest.fixture
def moved(tiny: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A run and its ELMo, which is not any more where it was."""
    elmo = Path(shutil.copytree(tiny / "elmo", tmp_path / "elmo"))
    run = tmp_path / "run"
    result = invoke("train", tiny / "train.csv", "--elmo", elmo, "-o", run, "--epochs", "1")
    assert result.exit_code == 0, result.output
    return run, elmo.rename(tmp_path / "moved")


def test_an_elmo_that_was_moved(tiny: Path, moved: tuple[Path, Path], tmp_path: Path) -> None:
    run, elmo = moved
    result = invoke("predict", run, "a rainy day")
    assert result.exit_code == 4
    assert "or say where it is now with --elmo" in result.stderr
    assert invoke("predict", run, "a rainy day", "--elmo", elmo).exit_code == 0
    assert invoke("eval", run, tiny / "test.csv", "--elmo", elmo).exit_code == 0
    result = invoke("predict", run, "a rainy day", "--elmo", tmp_path / "nowhere")
    assert result.exit_code == 4
    # The weights behind the handle are others now.
    write_elmo(tmp_path / "elmo", seed=8)
    result = invoke("predict", run, "a rainy day")
    assert result.exit_code == 2
    assert "with fingerprint" in result.stderr
    assert "The weights behind it have changed" in result.stderr


COMMANDS_AS_NOBODY = """
import os
from elmo_cli.cli import {command}
# Python itself may be where nobody can read it, so all that is needed is imported before.
from elmo_cli.workflows import new_run, prediction_columns, run_directory, training_tables
from elmo_cli.workflows import vector_choice, vector_file
os.setuid(65534)
{command}.main(prog_name="elmo")
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become nobody")
def test_what_may_not_be_read_is_said(tiny: Path) -> None:
    # Not tmp_path: pytest keeps others out of its own directories.
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        shutil.copytree(tiny / "run", directory / "open")
        shutil.copytree(tiny / "run", directory / "locked" / "run")
        shutil.copy(tiny / "test.csv", directory / "locked")
        (directory / "locked").chmod(0o700)
        check_as_nobody(directory / "open", directory / "locked")


def check_as_nobody(open_run: Path, locked: Path) -> None:
    def run(command: str, *arguments: Path | str) -> tuple[int, str]:
        code = COMMANDS_AS_NOBODY.format(command=command)
        result = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        return result.returncode, result.stderr

    if run("predict", open_run, "nowhere.csv")[0] != 3:
        pytest.skip("nobody cannot reach the temporary directory or Python itself")
    denied = "cannot be read: Permission denied"
    assert run("predict", locked / "run", "a rainy day") == (
        2, f"Error: {locked / 'run' / 'run.json'} {denied}. Check its permissions.\n",
    )  # fmt: skip
    table = locked / "test.csv"
    for command in ("predict", "evaluate"):
        assert run(command, open_run, table) == (3, f"Error: {table} {denied}. Check its permissions.\n")
    assert run("train", table, "-o", open_run.with_name("new"))[0] == 3
    # Where a result is wanted, too.
    assert run("predict", open_run, table, "-o", open_run.with_name("out.csv"))[0] == 3
    assert run("embed", table, "-o", open_run.with_name("out.npz"))[0] == 3
    assert run("embed", table, "--run", locked / "run", "-o", open_run.with_name("out.npz"))[0] == 2
    code, message = run("train", table, "-o", locked / "new")
    assert code == 2
    assert "Permission denied" in message
