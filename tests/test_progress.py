"""Progress: a bar on a terminal where messages are shown, lines elsewhere, and silence where it is wanted."""

import io
import logging
import sys
from pathlib import Path

import pytest

from elmo_cli.cli import console
from elmo_cli.progress import track, wanted


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_in(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Puts a terminal in the place of stderr; pytest takes a fixture's away again."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock takes four seconds."""
    seconds = iter(range(0, 10_000, 4))
    monkeypatch.setattr("time.monotonic", lambda: next(seconds))
    monkeypatch.setattr("tqdm.std.time", lambda: next(seconds))


def run() -> list[int]:
    return list(track(range(5), total=5, description="embedding"))


@pytest.mark.usefixtures("clock")
def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_in(monkeypatch)
    console.start_messages()
    assert run() == [0, 1, 2, 3, 4]
    assert "embedding" in terminal.getvalue()
    assert "/5" in terminal.getvalue()


@pytest.mark.usefixtures("clock")
def test_quiet_is_quiet_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    terminal = terminal_in(monkeypatch)
    console.start_messages(quiet=True)
    file = logging.FileHandler(tmp_path / "log.txt")  # a run's log wants every message, but is no terminal
    logging.getLogger("elmo_cli").addHandler(file)
    assert run() == [0, 1, 2, 3, 4]
    file.close()
    assert terminal.getvalue() == ""
    assert "embedding: 2 of 5 rows" in (tmp_path / "log.txt").read_text()


@pytest.mark.usefixtures("clock")
def test_elsewhere_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    console.start_messages()
    assert run() == [0, 1, 2, 3, 4]
    assert stream.getvalue().startswith("embedding: 2 of 5 rows after 12 s\n")


@pytest.mark.usefixtures("clock")
def test_what_was_done_before_counts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "elmo_cli"):
        assert list(track("abc", total=10, done=7, description="downloading", unit="MB")) == ["a", "b", "c"]
    assert caplog.messages == ["downloading: 9 of 10 MB after 12 s"]


def test_bars_follow_the_messages() -> None:
    package = logging.getLogger("elmo_cli")
    package.propagate = False
    assert not wanted()
    console.start_messages(verbose=True)
    assert wanted()
    package.setLevel(logging.WARNING)
    assert not wanted()
