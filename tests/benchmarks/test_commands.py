"""What the benchmarks of whole commands measure, and what they give them to do."""

import importlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def commands(project: Path) -> Iterator[ModuleType]:
    """The module, which the scripts in benchmarks/ find beside them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project / "benchmarks")
        yield importlib.import_module("commands")


def test_texts_are_short_distinct_and_always_the_same(commands: ModuleType) -> None:
    texts = list(commands.distinct_texts(5000))
    assert len(set(texts)) == 5000
    assert {text.count(" ") + 1 for text in texts} == set(range(4, 11))
    assert list(commands.distinct_texts(100)) == texts[:100]


def test_the_answer_is_timed_apart_from_the_end(commands: ModuleType, tmp_path: Path) -> None:
    slow_end = "import time; b = bytearray(1 << 27); print('answer', flush=True); time.sleep(0.2)"
    cost = commands.measure([sys.executable, "-c", slow_end], cache=tmp_path, answer_lines=1)
    assert cost.answer_s < cost.seconds - 0.1  # it sleeps longer than that
    assert cost.processor_s > 0
    # What this process took counts for its children on Linux, until they take more.
    most = max(1 << 29, 2048 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert 1 << 27 < cost.peak_bytes < most


def test_a_command_that_fails_says_why(commands: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no such run"):
        commands.measure([sys.executable, "-c", "raise SystemExit('no such run')"], cache=tmp_path)


def test_what_follows_the_dashes_is_for_the_command(commands: ModuleType) -> None:
    assert commands.split_at_dashes(["a", "b", "--", "--x", "1"]) == (["a", "b"], ["--x", "1"])
    assert commands.split_at_dashes(["a"]) == (["a"], [])
