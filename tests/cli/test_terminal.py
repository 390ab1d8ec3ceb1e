"""Commands as real processes: what a terminal and a pipe see."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

NOISE = re.compile(r"^[IWEF]\d{4} |oneDNN|absl|All log messages|cuda|CUDA|tensorflow/|Warning", re.MULTILINE)
TIMEOUT_S = 120


def start(command: str, *arguments: object, stdin: int | None = None) -> "subprocess.Popen[str]":
    """Starts elmo-COMMAND; its Python buffers output as it does for users."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("PYTHONUNBUFFERED", "TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS")
    }
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from elmo_cli.cli.{command} import main; main(prog_name='elmo-{command}')",
            *map(str, arguments),
        ],
        stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONFAULTHANDLER": "1"},
    )


def exit_code(process: "subprocess.Popen[str]") -> int:
    """Waits; a process that does not end tells what it was doing."""
    try:
        return process.wait(TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        pytest.fail(f"{process.args} does not end:\n{process.communicate()[1]}")


def test_each_line_is_answered_before_the_next_is_written(tiny: Path) -> None:
    with start("predict", tiny / "run", "-", stdin=subprocess.PIPE) as process:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("the pipes are missing")
        for number, text in enumerate(["Rain fell on the hills.", "She baked bread.", ""]):
            process.stdin.write(text + "\n")
            process.stdin.flush()
            if number == 0:
                assert process.stdout.readline() == "text\tpredicted\tprobability\n"
            assert re.fullmatch(re.escape(text) + r"\t(kitchen|sky)\t0\.\d+\n", process.stdout.readline())
        process.stdin.close()
        assert exit_code(process) == 0
        assert process.stdout.read() == ""
        assert process.stderr.read() == (
            "standard input: reading it as plain text, one text per line\n"
            "1 row without text: what is predicted for it says nothing\n"
        )


def test_a_reader_that_has_seen_enough_is_no_error(tiny: Path) -> None:
    with start("predict", tiny / "run", tiny / "train.csv", "--chunk-rows", "1") as process:
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("the pipes are missing")
        assert process.stdout.readline() == "text,label,predicted,probability\n"
        process.stdout.close()
        assert exit_code(process) == 0
        assert process.stderr.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="there SIGTERM ends a process at once")
def test_sigterm_leaves_nothing_behind(tiny: Path, tmp_path: Path) -> None:
    options = ["-o", tmp_path / "out.npz", "--elmo", tiny / "elmo", "--chunk-rows", "1"]
    with start("embed", "-", *options, stdin=subprocess.PIPE) as process:
        if process.stdin is None or process.stderr is None:
            raise RuntimeError("the pipes are missing")
        process.stdin.write("Rain fell on the hills.\n")
        process.stdin.flush()
        deadline = time.monotonic() + TIMEOUT_S
        while not list(tmp_path.iterdir()) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [path.name[:5] for path in tmp_path.iterdir()] == [".tmp-"]
        process.terminate()
        assert exit_code(process) == 143
        assert process.stderr.read().endswith("\nInterrupted.\n")
    assert list(tmp_path.iterdir()) == []


def test_training_says_nothing_but_our_own_lines(tiny: Path, tmp_path: Path) -> None:
    with start(
        "train", tiny / "train.csv", "--elmo", tiny / "elmo", "-o", tmp_path / "run", "--epochs", "1"
    ) as process:
        output, errors = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, output) == (0, "")
    assert not NOISE.search(errors), errors
    assert errors.splitlines()[0].startswith(f"{tiny / 'train.csv'}: taking column 1")
    assert errors.splitlines()[-1].startswith("Run: ")


@pytest.mark.slow
def test_evaluation_prints_json_and_nothing_else(tiny: Path, run: Path) -> None:
    with start("evaluate", run, tiny / "test.csv", "--json") as process:
        output, errors = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, errors) == (0, "")
    assert output.startswith("{")
    assert output.endswith("}\n")


@pytest.mark.slow
def test_verbose_shows_what_tensorflow_says(tiny: Path) -> None:
    with start("predict", tiny / "run", "a rainy day", "--verbose") as process:
        _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    assert NOISE.search(errors)
