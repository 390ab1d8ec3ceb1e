"""Modules in the published formats, each built once, and a web server to fetch them from."""

import http.server
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

BUILDER = Path(__file__).with_name("tf1_modules.py")
TF1_KINDS = ("elmo", "elmo-default", "text", "constant", "infinite", "image", "elmo-resource")
TF2_KINDS = ("text-tf2", "callable-tf2")


def _build(directory: Path, kinds: tuple[str, ...]) -> Path:
    """Builds modules in a process of its own: TensorFlow 1 behaviour cannot be undone."""
    done = subprocess.run(
        [sys.executable, str(BUILDER), str(directory), *kinds], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"building {', '.join(kinds)} failed:\n{done.stderr[-3000:]}")
    return directory


@pytest.fixture(scope="session")
def tf1_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one module in the TF1-Hub format for each of TF1_KINDS."""
    return _build(tmp_path_factory.mktemp("tf1"), TF1_KINDS)


@pytest.fixture(scope="session")
def tf2_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with one TF2 SavedModel for each of TF2_KINDS."""
    return _build(tmp_path_factory.mktemp("tf2"), TF2_KINDS)


def pack(directory: Path, archive: Path) -> Path:
    """Packs the content of a directory as published modules are packed, ``./`` before every name."""
    with tarfile.open(archive, "w:gz") as file:
        file.add(directory, arcname=".")
    return archive


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache directory for each test; no proxy stands between the test and its own server."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("ELMO_CLI_CACHE", str(folder))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return folder


@dataclass
class Server:
    """A web server on the loopback interface that answers as a test wants.

    Args:
        pages: Path (without query) to the bytes served there.
        url: Its address.
        requests: What was asked: path with query, and the Range header or None.
        statuses: Statuses to answer with, in order, before anything is served.
        cut_after: For each coming answer, the number of bytes after which the connection is cut.
        ranges: Whether Range is understood.
        content_type: What every page calls itself.
        content_length: Whether answers say how long they are.
    """

    pages: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)
    ranges: bool = True
    content_type: str = "application/octet-stream"
    content_length: bool = True
    stop: Callable[[], None] = lambda: None


def _handler(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            server.requests.append((self.path, wanted))
            body = server.pages.get(self.path.partition("?")[0])
            status = server.statuses.pop(0) if server.statuses else 200 if body is not None else 404
            if status != 200 or body is None:
                self.send_error(status)
                return
            tag, start = f'"{hash(body)}"', 0
            if wanted and server.ranges and self.headers.get("If-Range", tag) == tag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(body)}")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            self.send_header("Content-Type", server.content_type)
            self.send_header("ETag", tag)
            if server.content_length:
                self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            end = start + server.cut_after.pop(0) if server.cut_after else len(body)
            self.wfile.write(body[start:end])

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    """A running `Server`; ``stop()`` takes it away before the test ends."""
    server = Server()
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    running = [True]

    def stop() -> None:
        if running:
            running.clear()
            httpd.shutdown()
            httpd.server_close()
            thread.join()

    server.url, server.stop = f"http://127.0.0.1:{httpd.server_port}", stop
    yield server
    stop()
