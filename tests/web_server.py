"""A web server for tests, which can misbehave in every way that servers do."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


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
        headers: What is sent with every page and status, too.
        answers: Path to what answers instead, for a server that misbehaves.
        closing: Set when the server ends: an answer that waits must wait for this.
    """

    pages: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)
    ranges: bool = True
    content_type: str = "application/octet-stream"
    content_length: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    closing: threading.Event = field(default_factory=threading.Event)
    stop: Callable[[], None] = lambda: None


def _handler(server: Server) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            server.requests.append((self.path, wanted))
            path = self.path.partition("?")[0]
            if path in server.answers:
                server.answers[path](self)
                return
            body = server.pages.get(path)
            status = server.statuses.pop(0) if server.statuses else 200 if body is not None else 404
            if status != 200 or body is None:
                self.send_response(status)
                self._send_headers({"Content-Length": "0"})
                return
            tag, start = f'"{hash(body)}"', 0
            if wanted and server.ranges and self.headers.get("If-Range", tag) == tag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.send_response(416)
                    self._send_headers({"Content-Range": f"bytes */{len(body)}", "Content-Length": "0"})
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            else:
                self.send_response(200)
            length = {"Content-Length": str(len(body) - start)} if server.content_length else {}
            self._send_headers({"Content-Type": server.content_type, "ETag": tag, **length})
            end = start + server.cut_after.pop(0) if server.cut_after else len(body)
            self.wfile.write(body[start:end])

        def _send_headers(self, headers: dict[str, str]) -> None:
            for name, value in {**headers, **server.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def serve(*, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Runs a `Server`; ``stop()`` takes it away before the block ends.

    Args:
        tls: For https.
    """
    server = Server()
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def stop() -> None:
        if not server.closing.is_set():
            server.closing.set()
            httpd.shutdown()
            httpd.server_close()
            thread.join()

    scheme = "http" if tls is None else "https"
    server.url, server.stop = f"{scheme}://127.0.0.1:{httpd.server_port}", stop
    try:
        yield server
    finally:
        stop()


def redirect(location: str) -> Answer:
    """Returns an answer that leads elsewhere."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", location)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def raw(content: bytes, *, status: int = 200, **headers: str) -> Answer:
    """Returns an answer of these bytes, with headers named by keywords, ``_`` standing for the hyphen."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        with contextlib.suppress(OSError):  # who asked has had enough
            handler.wfile.write(content)

    return answer
