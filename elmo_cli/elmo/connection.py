"""Connections to the web: proxies, certificates and redirects as the user's environment wants them."""

import http.client
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from elmo_cli.errors import SourceError

# Files or directories of certificates; the first that is set is trusted instead of the system's.
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def opener() -> urllib.request.OpenerDirector:
    """Returns an opener for http and https, and for nothing else, not even after a redirect.

    Proxies come from ``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, or the system.

    Raises:
        SourceError: When a variable names certificates that are not there.
    """
    director = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(_proxies()),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=_certificates()),
        _Redirects(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ):
        director.add_handler(handler)
    return director


def _proxies() -> dict[str, str]:
    """The proxy for each scheme; ``all_proxy`` stands in for one that has none of its own."""
    proxies = urllib.request.getproxies()
    if every := proxies.pop("all", None):
        proxies = {"http": every, "https": every, **proxies}
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
