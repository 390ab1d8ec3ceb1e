"""Checksums, writing in one move, the cache directory, locks."""

import errno
import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from elmo_cli import files
from elmo_cli.errors import RunError

HOLD = """
import sys, time
from elmo_cli.files import lock
with lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_sha256_of_one_file_and_of_several_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", 3)
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"12345")
    second.write_bytes(b"67")
    assert files.sha256(first) == hashlib.sha256(b"12345").hexdigest()
    assert files.sha256(first, second) == hashlib.sha256(b"1234567").hexdigest()
    assert files.sha256(second, first) == hashlib.sha256(b"6712345").hexdigest()


def test_a_written_file_is_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.txt"
    files.write_text(path, "caf\u00e9\n")
    assert path.read_bytes() == "caf\u00e9\n".encode()
    files.write_bytes(path, b"\r\n")
    assert path.read_bytes() == b"\r\n"
    assert names(path.parent) == ["a.txt"]


def test_until_the_end_the_old_file_stands(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.atomic_write(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, failure: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail_halfway() -> None:
        with files.atomic_write(path) as file:
            file.write("half")
            raise failure

    with pytest.raises(failure):
        fail_halfway()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_the_path_beside_keeps_the_ending_and_is_short(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 230 + ".weights.h5")
    with files.atomic_path(path) as beside:
        assert beside.name.endswith(".weights.h5")
        assert beside.parent == tmp_path
        beside.write_bytes(b"1")
    assert names(tmp_path) == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="links and devices are POSIX")
def test_a_link_is_followed_and_a_device_written_in_place(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    files.write_text(link, "1")
    assert link.is_symlink()
    assert target.read_text() == "1"
    files.write_text("/dev/null", "1")
    assert not Path("/dev/null").is_file()


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no names for open files here")
def test_an_open_pipe_is_written_under_its_name() -> None:
    reader, writer = os.pipe()
    files.write_text(f"/dev/fd/{writer}", "1")
    os.close(writer)
    with os.fdopen(reader) as file:
        assert file.read() == "1"


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no names for open files here")
def test_a_file_that_is_not_open_is_said() -> None:
    with pytest.raises(RunError, match="/dev/fd/9999 cannot be written: Bad file descriptor"):
        files.write_text("/dev/fd/9999", "1")


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no names for open files here")
def test_an_open_file_is_written_where_it_stands(tmp_path: Path) -> None:
    with open(tmp_path / "log", "w") as log:
        log.write("before\n")
        log.flush()
        files.write_text(f"/dev/fd/{log.fileno()}", "between\n")
        log.write("after\n")
    assert (tmp_path / "log").read_text() == "before\nbetween\nafter\n"
    assert names(tmp_path) == ["log"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
def test_permissions_are_those_of_an_ordinary_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    files.write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file.a\.txt cannot be written: "):
        files.write_text(tmp_path / "file" / "a.txt", "")
    with pytest.raises(RunError, match="cannot be written: Is a directory"):
        files.write_text(tmp_path, "")
    assert names(tmp_path) == ["file"]


def test_a_place_that_may_not_even_be_looked_at_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(self: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "exists", denied)
    with pytest.raises(RunError, match=r"a\.txt cannot be written: Permission denied"):
        files.write_text(tmp_path / "a.txt", "")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named(tmp_path: Path, number: int) -> None:
    message = rf"a\.txt cannot be written: {os.strerror(number)}"
    with pytest.raises(RunError, match=message), files.atomic_write(tmp_path / "a.txt"):
        raise OSError(number, os.strerror(number))
    assert names(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_device_is_named() -> None:
    with pytest.raises(RunError, match="/dev/full cannot be written: No space left"):
        files.write_text("/dev/full", "1")


def test_other_failures_pass_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with pytest.raises(FileNotFoundError), files.atomic_write(path):
        raise FileNotFoundError(errno.ENOENT, "another file")
    assert names(tmp_path) == []


def test_only_writing_modes_are_taken(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='"w" or "wb"'), files.atomic_write(tmp_path / "a", "a"):
        pass


def test_the_cache_directory_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path / "mine"))
    assert files.cache_directory() == tmp_path / "mine"
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "{root}/xdg"}, "xdg/elmo-cli"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "home/.cache/elmo-cli"),
        ("linux", {}, "home/.cache/elmo-cli"),
        ("darwin", {"XDG_CACHE_HOME": "{root}/xdg"}, "home/Library/Caches/elmo-cli"),
        ("win32", {"LOCALAPPDATA": "{root}/local"}, "local/elmo-cli/cache"),
        ("win32", {}, "home/AppData/Local/elmo-cli/cache"),
    ],
)
def test_else_it_is_where_the_platform_keeps_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("ELMO_CLI_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(root=tmp_path))
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    monkeypatch.setattr(files.sys, "platform", platform)
    assert files.cache_directory() == tmp_path / expected


def test_without_a_home_it_is_said_how_to_choose_the_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("ELMO_CLI_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(RunError, match=r"no home directory.*ELMO_CLI_CACHE"):
        files.cache_directory()
    monkeypatch.setenv("ELMO_CLI_CACHE", "~no-such-user/cache")
    with pytest.raises(RunError, match="~no-such-user/cache"):
        files.cache_directory()


def test_what_does_not_fit_on_the_disk_is_said(tmp_path: Path) -> None:
    files.check_room(tmp_path / "not" / "there" / "yet", 1000, "It")
    with pytest.raises(RunError, match=rf"It needs .* are free in {tmp_path}\. Make room"):
        files.check_room(tmp_path / "not" / "there" / "yet", 10**17, "It")


def test_a_lock_is_held_by_one_and_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.lock"
    with (
        files.lock(path),
        pytest.raises(RunError, match=r"a\.lock is still held by another process after 0 s"),
        files.lock(path, timeout_s=0),
    ):
        pass
    with files.lock(path, timeout_s=0):
        pass


def test_a_lock_is_freed_by_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), files.lock(tmp_path / "a"):
        raise ValueError("x")
    with files.lock(tmp_path / "a", timeout_s=0):
        pass


def test_waiting_for_a_lock_is_said_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files, "POLL_S", 0.001)
    held, release, order = threading.Event(), threading.Event(), []

    def hold() -> None:
        with files.lock(tmp_path / "a"):
            held.set()
            release.wait(30)
            order.append("first")

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    threading.Timer(0.05, release.set).start()
    with caplog.at_level(logging.INFO), files.lock(tmp_path / "a", timeout_s=30):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]
    assert [record.getMessage() for record in caplog.records] == [
        f"Waiting for another process that holds {tmp_path / 'a'}"
    ]


def test_who_waits_may_say_what_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO),
        files.lock(tmp_path / "a"),
        pytest.raises(RunError, match="still held"),
        files.lock(tmp_path / "a", timeout_s=0.01, work="bakes a cake"),
    ):
        pass
    assert caplog.messages == ["Waiting for another process that bakes a cake"]


def test_a_killed_process_holds_no_lock(tmp_path: Path, project: Path) -> None:
    path = tmp_path / "a.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, cwd=project
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="still held"), files.lock(path, timeout_s=0):
            pass
        process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    with files.lock(path, timeout_s=5):
        pass
