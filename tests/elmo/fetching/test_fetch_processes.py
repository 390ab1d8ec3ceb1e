"""Downloads of several processes at once, and of processes that are killed."""

import http.server
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fetch_data import ARCHIVE, MODULE, content

from elmo_cli import files
from elmo_cli.elmo.fetching.fetch import fetch_module

FETCH = """
import logging, sys
from elmo_cli.elmo.fetching.fetch import fetch_module
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
print(fetch_module(sys.argv[1]), flush=True)
"""
HALF = len(ARCHIVE) // 2


def start(url: str, project: Path) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(project)}
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project,
        env=environment,
    )


@pytest.fixture
def stalling(server):
    """A server whose first answer stops in the middle; the event is set when it has."""
    halfway = threading.Event()
    whole = server.pages["/module.tar.gz"] = ARCHIVE

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        del server.answers["/module.tar.gz"]  # the next one is answered as usual
        handler.send_response(200)
        handler.send_header("ETag", f'"{hash(whole)}"')
        handler.send_header("Content-Length", str(len(whole)))
        handler.end_headers()
        handler.wfile.write(whole[:HALF])
        halfway.set()
        server.closing.wait(30)

    server.answers["/module.tar.gz"] = answer
    return halfway


def wait_for_size(cache: Path, num_bytes: int) -> None:
    for _ in range(3000):
        parts = list(cache.rglob("*.part"))
        if parts and parts[0].stat().st_size == num_bytes:
            return
        time.sleep(0.01)
    raise TimeoutError(f"no part of {num_bytes} bytes in {cache}")


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_after_kill_9_in_the_middle_the_next_process_goes_on_there(server, stalling, cache, project):
    url = f"{server.url}/module.tar.gz"
    with start(url, project) as process:
        assert stalling.wait(30)
        wait_for_size(cache, HALF)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not [path for path in cache.rglob("*") if path.is_dir() and path.parent.name == "modules"]
    assert content(fetch_module(url)) == MODULE
    assert [wanted for _, wanted in server.requests] == [None, f"bytes={HALF}-"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")
def test_who_waits_says_so_and_goes_on_where_a_killed_process_stopped(
    server, stalling, cache, project, caplog, monkeypatch
):
    monkeypatch.setattr(files, "POLL_S", 0.01)
    url = f"{server.url}/module.tar.gz"
    with start(url, project) as process:
        assert stalling.wait(30)
        wait_for_size(cache, HALF)

        def kill_when_waited_for() -> None:
            while f"Waiting for another process that downloads {url}" not in caplog.messages:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)

        killer = threading.Thread(target=kill_when_waited_for)
        with caplog.at_level(logging.INFO, "elmo_cli"):
            killer.start()
            assert content(fetch_module(url)) == MODULE
        killer.join()
    assert [wanted for _, wanted in server.requests] == [None, f"bytes={HALF}-"]


def test_processes_at_once_download_once(server, project):
    server.pages["/module.tar.gz"] = ARCHIVE
    url = f"{server.url}/module.tar.gz"
    processes = [start(url, project) for _ in range(3)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], answers
    assert len({place for place, _ in answers}) == 1
    assert len(server.requests) == 1
