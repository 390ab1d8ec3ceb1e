"""Connections to the web: proxies, certificates and redirects as the user's environment wants them."""

import contextlib
import http.client
import os
import socket
import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any
from urllib.parse import SplitResult, urlsplit

from elmo_cli.errors import SourceError

# Files or directories of certificates; the first that is set is trusted instead of the system's.
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


HEAD_TIMEOUTS = 4  # an answer's head, redirects included, may take so many times the timeout in all


def open_url(request: urllib.request.Request, timeout_s: float) -> http.client.HTTPResponse:
    """Sends a request over http or https, and over nothing else, not even after a redirect.

    Proxies come from ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, or the system.

    Args:
        request: What to ask.
        timeout_s: Seconds without a byte after which the connection is dead.

    Returns:
        The answer, its body not read yet; it closes the connection when it is closed.

    Raises:
        SourceError: When a variable names certificates that are not there, or a proxy that is none for http,
            or a redirect is refused.
        TimeoutError: When the head of the answer takes too long, be it byte by byte.
        OSError, http.client.HTTPException: As urllib raises them.
    """
    connections: list[http.client.HTTPConnection] = []
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(_proxies(urlsplit(request.full_url))),
        _Http(connections),
        _Https(connections, _certificates()),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        director.add_handler(handler)
    late = threading.Event()

    def hang_up() -> None:
        late.set()
        for connection in connections:
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(HEAD_TIMEOUTS * timeout_s, hang_up)
    timer.daemon = True
    timer.start()
    try:
        response: http.client.HTTPResponse = director.open(request, timeout=timeout_s)
    except (OSError, http.client.HTTPException) as error:
        if late.is_set():
            raise TimeoutError("no whole answer came in time") from error
        raise
    finally:
        timer.cancel()
    if late.is_set():
        response.close()
        raise TimeoutError("no whole answer came in time")
    return response


class _Http(urllib.request.HTTPHandler):
    """Keeps a list of its connections, so that they can be ended from outside."""

    def __init__(self, connections: list[http.client.HTTPConnection]) -> None:
        super().__init__()
        self._connections = connections

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """See `urllib.request.HTTPHandler`."""

        def connect(host: str, **kwargs: Any) -> http.client.HTTPConnection:
            self._connections.append(http.client.HTTPConnection(host, **kwargs))
            return self._connections[-1]

        return self.do_open(connect, req)  # type: ignore[arg-type]


class _Https(urllib.request.HTTPSHandler):
    """The same, encrypted."""

    def __init__(self, connections: list[http.client.HTTPConnection], context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._connections, self._certificates = connections, context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """See `urllib.request.HTTPSHandler`."""

        def connect(host: str, **kwargs: Any) -> http.client.HTTPConnection:
            connection = http.client.HTTPSConnection(host, context=self._certificates, **kwargs)
            self._connections.append(connection)
            return connection

        return self.do_open(connect, req)  # type: ignore[arg-type]


def _proxies(url: SplitResult) -> dict[str, str]:
    """The proxy for each scheme; ``all_proxy`` stands in for one that has none of its own."""
    proxies = urllib.request.getproxies()
    if every := proxies.pop("all", None):
        proxies = {"http": every, "https": every, **proxies}
    chosen = proxies.get(url.scheme, "")
    if chosen.lower().startswith("socks") and not urllib.request.proxy_bypass(url.hostname or ""):
        raise SourceError(
            f"{url.geturl()}: {url.scheme}_proxy or all_proxy names a SOCKS proxy, and elmo-cli speaks with "
            f"HTTP proxies only. Set {url.scheme}_proxy to one, or name the host in no_proxy."
        )
    return proxies


def _certificates() -> ssl.SSLContext:
    for variable in CERTIFICATE_VARIABLES:
        if not (chosen := os.environ.get(variable)):
            continue
        try:
            if Path(chosen).is_dir():
                return ssl.create_default_context(capath=chosen)
            return ssl.create_default_context(cafile=chosen)
        except (OSError, ssl.SSLError) as error:
            raise SourceError(
                f"{variable} names {chosen}, which holds no certificates ({error}). Correct or unset it."
            ) from error
    return ssl.create_default_context()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from an encrypted address to one that is not."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """See `urllib.request.HTTPRedirectHandler`."""
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after not in ("http", "https") or (before == "https" and after == "http"):
            raise SourceError(
                f"{req.full_url} was refused: it redirects to {newurl}, which is no "
                f"{'encrypted' if after == 'http' else 'web'} address."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> object:
        """See `urllib.request.HTTPRedirectHandler`."""
        # Checked here, since the class itself refuses most schemes in words of its own.
        target = headers.get("location") or headers.get("uri") or ""
        scheme = urlsplit(target).scheme
        if scheme and scheme not in ("http", "https"):
            self.redirect_request(req, fp, code, msg, headers, target)
        fp.close()  # the class would read the body to its end, and there may be none
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except urllib.error.HTTPError as error:
            if self.inf_msg in str(error.msg):
                error.close()
                raise SourceError(
                    f"{req.full_url} redirects in a circle, or more than {self.max_redirections} times."
                ) from error
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302  # type: ignore[assignment]
