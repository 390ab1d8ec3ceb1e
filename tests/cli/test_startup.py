"""Commands load TensorFlow quickly and in silence; what they do not need is not loaded."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from elmo_cli.cli.startup import UNUSED_BY_TENSORFLOW, _hidden

HOLD = """
import os, sys
from elmo_cli.cli.startup import _native_messages_held_back
from elmo_cli.errors import ConfigError
with _native_messages_held_back():
    os.write(2, b"noise\\n")
    {then}
os.write(2, b"after\\n")
"""


@pytest.mark.parametrize(
    ("then", "begins"),
    [
        ("pass", "after"),
        ("raise ConfigError('no GPU')", "Traceback"),
        ("raise RuntimeError('broken')", "noise\nTraceback"),
        ("os.abort()", "Fatal Python error: Aborted"),
    ],
)
def test_native_messages_are_held_back_but_failures_are_seen(then: str, begins: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", HOLD.format(then=then)],
        capture_output=True,
        text=True,
        check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONFAULTHANDLER"},
    )
    assert result.stderr.startswith(begins)


PREDICT = """
import gc, sys
from elmo_cli.cli.predict import main
main(sys.argv[2:], standalone_mode=False)
assert gc.isenabled() and gc.get_freeze_count() > 100_000
loaded = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
sys.exit(f"loaded: {', '.join(loaded)}" if loaded else 0)
"""


def test_predicting_loads_nothing_that_it_does_not_need(tiny: Path) -> None:
    unused = [
        *UNUSED_BY_TENSORFLOW,
        "tensorflow_hub",
        "tf_keras",
        "pyarrow.parquet",
        "elmo_cli.workflows.train",
    ]
    arguments = [",".join(unused), str(tiny / "run"), "The soup was cold."]
    result = subprocess.run(
        [sys.executable, "-c", PREDICT, *arguments], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    # The answer is whole in a pipe, although the interpreter ends without a last collection.
    header, answer = result.stdout.splitlines()
    assert header == "text\tpredicted\tprobability"
    assert answer.startswith("The soup was cold.\t")


def test_a_hidden_package_counts_as_not_installed_and_is_there_again_afterwards() -> None:
    before = sys.modules.pop("colorsys", None)
    with _hidden("colorsys", "os"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("colorsys")
        assert importlib.import_module("os") is os
    assert importlib.import_module("colorsys") is not before


def test_a_hidden_package_comes_back_after_an_error() -> None:
    sys.modules.pop("colorsys", None)
    with pytest.raises(ImportError), _hidden("colorsys"):
        raise ImportError("broken")
    importlib.import_module("colorsys")


LEAVE = """
import gc
from elmo_cli.cli.startup import _garbage_left_alone
class Loop:
    def __init__(self):
        self.itself = self
    def __del__(self):
        print("looked at")
kept = []
with {context}:
    kept.append(Loop())
kept.append(Loop())
assert gc.isenabled()
"""


@pytest.mark.parametrize(
    ("context", "printed"), [("open('/dev/null')", "looked at\n" * 2), ("_garbage_left_alone()", "")]
)
def test_the_interpreter_ends_without_looking_for_garbage(context: str, printed: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", LEAVE.format(context=context)], capture_output=True, text=True, check=True
    )
    assert result.stdout == printed
