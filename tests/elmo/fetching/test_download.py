"""Downloads from servers that misbehave in every way that servers do."""

import base64
import contextlib
import email.utils
import hashlib
import http.client
import http.server
import itertools
import logging
import os
import shutil
import ssl
import subprocess
import time
from collections import namedtuple
from pathlib import Path

import pytest
from web_server import Answer, raw, redirect, serve

from elmo_cli.elmo.fetching import connection, download
from elmo_cli.elmo.fetching.download import Patience
from elmo_cli.errors import RunError, SourceError

BODY = os.urandom(300_000)
QUICK = Patience(timeout_s=0.2, num_retries=1, pause_s=0.001)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "file.part"


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were made, in no time."""
    made: list[float] = []
    monkeypatch.setattr(download.time, "sleep", made.append)
    return made


def fetch(url: str, part: Path, patience: Patience = QUICK, **kwargs: int) -> bytes:
    download.download(url, part, patience, **kwargs)
    return part.read_bytes()


def drip(server, first: bytes, every_s: float) -> Answer:
    """Sends some bytes at once and then one every so often."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        try:
            handler.wfile.write(first)
            while not server.closing.wait(every_s):
                handler.wfile.write(b"x")
        except OSError:
            pass

    return answer


def test_a_server_that_stalls_is_left_after_the_timeout(server, part):
    server.answers["/x"] = drip(server, BODY[:1000], 60)
    with pytest.raises(SourceError, match=r"2 times in a row: timed out.*goes on after 1,000 bytes"):
        fetch(f"{server.url}/x", part)


def test_a_server_that_sends_a_byte_now_and_then_is_left_too(server, part):
    server.answers["/x"] = drip(server, b"", 0.02)
    patience = Patience(timeout_s=1.0, num_retries=1, pause_s=0.001, min_bytes_per_s=1000)
    with pytest.raises(SourceError, match=r"2 times in a row: only \d+ bytes came in 1 s"):
        fetch(f"{server.url}/x", part, patience)
    assert len(server.requests) == 2


def test_an_answer_whose_head_comes_byte_by_byte_is_left(server, part):
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(b"HTTP/1.0 200 OK\r\n")
            while not server.closing.wait(0.02):
                handler.wfile.write(b"x")
        except OSError:
            pass

    server.answers["/x"] = answer
    with pytest.raises(SourceError, match="2 times in a row: no whole answer came in time"):
        fetch(f"{server.url}/x", part, Patience(timeout_s=0.1, num_retries=1, pause_s=0.001))


def test_a_connection_cut_in_the_head_of_an_answer_costs_nothing(server, part):
    part.write_bytes(BODY[:100])

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        del server.answers["/x"]
        handler.wfile.write(b"HTTP/1.0 206 Partial Content\r\nDate: ")

    server.pages["/x"], server.answers["/x"] = BODY, answer
    assert fetch(f"{server.url}/x", part) == BODY
    assert server.requests[-1] == ("/x", "bytes=100-")


def test_a_slow_server_that_gets_on_is_waited_for(server, part):
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        for start in range(0, len(BODY), 50_000):
            handler.wfile.write(BODY[start : start + 50_000])
            time.sleep(0.05)

    server.answers["/x"] = answer
    assert fetch(f"{server.url}/x", part) == BODY
    assert len(server.requests) == 1


def test_a_disk_that_fills_up_is_named_and_what_came_is_kept(server, part):
    resource = pytest.importorskip("resource")
    server.pages["/x"] = BODY
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RunError, match=r"file\.part cannot be written: File too large"):
            fetch(f"{server.url}/x", part)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert fetch(f"{server.url}/x", part) == BODY
    assert server.requests[1] == ("/x", "bytes=100000-")


def test_a_network_that_goes_away_on_the_way_is_waited_for(server, part, monkeypatch):
    server.pages["/x"], server.cut_after = BODY, [1000]
    monkeypatch.setattr(download.time, "sleep", lambda _: server.stop())
    with pytest.raises(SourceError, match=r"2 times in a row: .*refused.*goes on after 1,000 bytes"):
        fetch(f"{server.url}/x", part)


@pytest.mark.parametrize("error", [ssl.SSLError(1, "bad record mac"), OSError(113, "No route to host")])
def test_a_connection_that_breaks_in_any_way_is_taken_up_again(server, part, pauses, monkeypatch, error):
    server.pages["/x"] = BODY
    broken = [error]
    read1 = http.client.HTTPResponse.read1

    def read(response: http.client.HTTPResponse, n: int = -1) -> bytes:
        if part.exists() and part.stat().st_size and broken:
            raise broken.pop()
        return read1(response, 1000 if broken else n)

    monkeypatch.setattr(http.client.HTTPResponse, "read1", read)
    assert fetch(f"{server.url}/x", part) == BODY
    assert server.requests[1:] == [("/x", "bytes=1000-")]


def test_pauses_grow_up_to_a_limit(server, part, pauses):
    server.statuses = [503] * 6
    with pytest.raises(SourceError, match="6 times in a row: HTTP Error 503"):
        fetch(f"{server.url}/x", part, Patience(num_retries=5, pause_s=1, max_pause_s=5))
    assert pauses == [1, 2, 4, 5, 5]


def test_the_pause_that_a_server_asks_for_is_made(server, part, pauses):
    server.pages["/x"] = BODY
    server.statuses = [429, 503]
    server.headers["Retry-After"] = "7"
    assert fetch(f"{server.url}/x", part, Patience(num_retries=2, pause_s=1)) == BODY
    assert pauses == [7, 7]


def test_the_pause_may_be_a_date(server, part, pauses):
    server.pages["/x"] = BODY
    server.statuses = [503]
    server.headers["Retry-After"] = email.utils.formatdate(time.time() + 60, usegmt=True)
    assert fetch(f"{server.url}/x", part, Patience(pause_s=1)) == BODY
    assert 50 < pauses[0] <= 60


@pytest.mark.parametrize("nonsense", ["soon", "-3", "", "Mon, 01 Jan 99999999999 00:00:00 GMT"])
def test_a_pause_that_means_nothing_is_left_alone(server, part, pauses, nonsense):
    server.pages["/x"] = BODY
    server.statuses = [503]
    server.headers["Retry-After"] = nonsense
    assert fetch(f"{server.url}/x", part, Patience(pause_s=1)) == BODY
    assert pauses == [1]


def test_a_pause_too_long_to_wait_for_is_said(server, part, pauses):
    server.statuses = [503]
    server.headers["Retry-After"] = "86400"
    with pytest.raises(SourceError, match="asks to come back in 86,400 s"):
        fetch(f"{server.url}/x", part)
    assert pauses == []


def test_redirects_are_followed_with_what_is_present_already(server, part):
    server.pages["/real"] = BODY
    server.answers["/x"] = redirect("/real")
    server.cut_after = [1000]
    assert fetch(f"{server.url}/x", part) == BODY
    assert server.requests[-1] == ("/real", "bytes=1000-")


def test_an_address_may_hold_letters_of_any_language(server, part):
    server.pages["/m%C3%B6del/%D1%8F.zip"] = BODY
    assert fetch(f"{server.url}/m\u00f6del/\u044f.zip?a=\u00e9", part) == BODY
    assert server.requests == [("/m%C3%B6del/%D1%8F.zip?a=%C3%A9", None)]


def test_a_redirect_to_what_is_no_address_is_refused(server, part):
    server.answers["/x"] = redirect("http://[::1/y")
    with pytest.raises(SourceError, match="/x is not a valid address, or leads to none"):
        fetch(f"{server.url}/x", part)


def test_a_redirect_whose_body_does_not_end_is_followed_at_once(server, part):
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", "/real")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not server.closing.wait(0.02):
                handler.wfile.write(b"x")

    server.answers["/x"] = answer
    server.pages["/real"] = BODY
    assert fetch(f"{server.url}/x", part) == BODY


def test_redirects_in_a_circle_end(server, part):
    server.answers["/a"] = redirect("/b")
    server.answers["/b"] = redirect("/a")
    with pytest.raises(SourceError, match="redirects in a circle"):
        fetch(f"{server.url}/a", part)


def test_redirects_without_end_end(server, part):
    for i in range(20):
        server.answers[f"/{i}"] = redirect(f"/{i + 1}")
    with pytest.raises(SourceError, match="or more than 10 times"):
        fetch(f"{server.url}/0", part)
    assert len(server.requests) == 11


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://x/y"])
def test_redirects_to_what_is_not_the_web_are_refused(server, part, target):
    server.answers["/x"] = redirect(target)
    with pytest.raises(SourceError, match=r"was refused: it redirects to .* which is no web address"):
        fetch(f"{server.url}/x", part)
    assert not part.exists()


def test_a_server_that_announces_more_than_it_has_is_given_up(server, part):
    server.answers["/x"] = raw(BODY, Content_Length=str(len(BODY) + 5))
    with pytest.raises(SourceError, match=r"the connection ended after 300,000 of 300,005 bytes"):
        fetch(f"{server.url}/x", part)


@pytest.mark.parametrize("length", ["-1", "many", "1e5", ""])
def test_a_length_that_means_nothing_is_left_alone(server, part, length):
    server.answers["/x"] = raw(BODY, Content_Length=length)
    assert fetch(f"{server.url}/x", part) == BODY


def test_a_server_that_always_gives_another_part_is_given_up(server, part):
    part.write_bytes(BODY[:100])
    server.answers["/x"] = raw(BODY[7:], status=206, Content_Range="bytes 7-9/10")
    with pytest.raises(SourceError, match="another part than was asked for"):
        fetch(f"{server.url}/x", part)


def test_a_server_that_gives_less_than_was_asked_for_is_asked_again(server, part):
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[6:-1])
        piece = BODY[start : start + 120_000]
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{start + len(piece) - 1}/{len(BODY)}")
        handler.send_header("Content-Length", str(len(piece)))
        handler.end_headers()
        handler.wfile.write(piece)

    server.answers["/x"] = answer
    assert fetch(f"{server.url}/x", part) == BODY
    assert [wanted for _, wanted in server.requests] == [None, "bytes=120000-", "bytes=240000-"]


def test_without_a_validator_another_length_is_another_file(server, part):
    half = raw(BODY[:100], Content_Length=str(len(BODY)))
    changed = BODY[:1000]
    rest = raw(changed[100:], status=206, Content_Range="bytes 100-999/1000", Content_Length="900")
    answers = [half, rest, raw(changed, Content_Length="1000")]
    server.answers["/x"] = lambda handler: answers.pop(0)(handler)
    assert fetch(f"{server.url}/x", part, Patience(num_retries=3, pause_s=0.001)) == changed
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100-", None]


def test_a_login_page_does_not_replace_what_came_before(server, part):
    part.write_bytes(BODY[:100])
    server.answers["/x"] = raw(b"<html>Log in</html>", Content_Type="text/html; charset=utf-8")
    with pytest.raises(SourceError, match="now answered with a web page"):
        fetch(f"{server.url}/x", part)
    assert part.read_bytes() == BODY[:100]


def test_more_than_expected_is_refused_before_it_comes(server, part):
    server.pages["/x"] = BODY
    with pytest.raises(SourceError, match=r"it has 300 kB, and no more than 1 kB are expected"):
        fetch(f"{server.url}/x", part, max_bytes=1000)
    assert not part.exists()


def test_a_file_without_end_is_refused(server, part):
    server.answers["/x"] = raw(BODY)
    with pytest.raises(SourceError, match="no end after 100 kB"):
        fetch(f"{server.url}/x", part, max_bytes=100_000)
    assert not part.exists()


def test_a_disk_without_room_is_said_before_anything_comes(server, part, monkeypatch):
    server.pages["/x"] = BODY
    Usage = namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, 400_000))
    with pytest.raises(RunError, match=r"needs 600 kB, and 400 kB are free"):
        fetch(f"{server.url}/x", part, num_copies=2)
    assert not part.exists()
    assert fetch(f"{server.url}/x", part) == BODY


@pytest.mark.parametrize(
    ("header", "name", "algorithm"),
    [
        ("x-goog-hash", "md5=", "md5"),
        ("Repr-Digest", "sha-256=:", "sha256"),
        ("Digest", "SHA-256=", "sha256"),
    ],
)
def test_the_checksum_that_a_server_sends_is_checked(server, part, header, name, algorithm):
    server.pages["/x"] = BODY
    good = base64.b64encode(hashlib.new(algorithm, BODY).digest()).decode()
    server.headers[header] = f"{name}{good}"
    server.cut_after = [1000]  # it is that of the whole file, also when a part is sent
    assert fetch(f"{server.url}/x", part) == BODY
    part.unlink()
    server.pages["/x"] = BODY[:-1] + b"x" if BODY[-1:] != b"x" else BODY[:-1] + b"y"
    with pytest.raises(SourceError, match=f"came damaged: its {algorithm.upper()} is not the one"):
        fetch(f"{server.url}/x", part)
    assert not part.exists()


def test_a_proxy_of_the_environment_is_used(server, part, monkeypatch):
    server.pages["http://elmo.invalid/x"] = BODY
    monkeypatch.setenv("http_proxy", server.url)
    assert fetch("http://elmo.invalid/x", part) == BODY


def test_a_proxy_for_everything_is_used_and_exceptions_are_heeded(server, part, monkeypatch):
    server.pages["http://elmo.invalid/x"] = BODY
    server.pages["/x"] = BODY[:9]
    monkeypatch.setenv("all_proxy", server.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch("http://elmo.invalid/x", part) == BODY
    part.unlink()
    assert fetch(f"{server.url}/x", part) == BODY[:9]


def test_a_proxy_that_speaks_socks_is_named(server, part, monkeypatch):
    server.pages["/x"] = BODY
    monkeypatch.setenv("all_proxy", "socks5h://user:secret@127.0.0.1:1080")
    with pytest.raises(SourceError, match=r"https_proxy or all_proxy names a SOCKS proxy") as refusal:
        fetch("https://elmo.invalid/x", part)
    assert "secret" not in str(refusal.value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch(f"{server.url}/x", part) == BODY


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate for 127.0.0.1 and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not here to make a certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1"]
    command += [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(path),
        "-out",
        str(path.with_suffix(".crt")),
    ]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + path.with_suffix(".crt").read_text())
    return path


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("variable", connection.CERTIFICATE_VARIABLES)
def test_certificates_of_the_environment_are_trusted(certificate, part, monkeypatch, variable):
    monkeypatch.setenv(variable, str(certificate.with_suffix(".crt")))
    with serve(tls=tls(certificate)) as server:
        server.pages["/x"] = BODY
        assert fetch(f"{server.url}/x", part) == BODY


def test_other_certificates_are_not_trusted_and_the_way_out_is_said(certificate, part):
    with serve(tls=tls(certificate)) as server:
        server.pages["/x"] = BODY
        with pytest.raises(SourceError, match=r"cannot be reached safely: .*SSL_CERT_FILE or REQUESTS_CA"):
            fetch(f"{server.url}/x", part)
    assert server.requests == []


def test_no_redirect_leads_from_an_encrypted_address_to_another(server, certificate, part, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.with_suffix(".crt")))
    with serve(tls=tls(certificate)) as safe:
        safe.answers["/x"] = redirect(f"{server.url}/x")
        with pytest.raises(SourceError, match="which is no encrypted address"):
            fetch(f"{safe.url}/x", part)
    assert server.requests == []


@pytest.mark.parametrize("variable", connection.CERTIFICATE_VARIABLES)
def test_certificates_that_are_not_there_are_named(server, part, monkeypatch, variable):
    monkeypatch.setenv(variable, "/no/such/file.pem")
    with pytest.raises(SourceError, match=f"{variable} names /no/such/file.pem"):
        fetch(f"{server.url}/x", part)


def test_what_is_tried_again_is_said(server, part, caplog, pauses):
    server.pages["/x"] = BODY
    server.statuses = [503]
    with caplog.at_level(logging.INFO, "elmo_cli"):
        fetch(f"{server.url}/x", part)
    assert [record.getMessage() for record in caplog.records] == [
        f"Download of {server.url}/x: HTTP Error 503: Service Unavailable; trying again in 0 s"
    ]


@pytest.mark.parametrize(("announced", "how_far"), [(True, "1 of 3 MB"), (False, "1 MB")])
def test_how_far_a_download_is_is_said(server, part, caplog, monkeypatch, announced, how_far):
    server.pages["/x"] = BODY * 10
    server.content_length = announced
    seconds = itertools.count(step=20)
    monkeypatch.setattr("elmo_cli.progress.time.monotonic", lambda: next(seconds))
    with caplog.at_level(logging.INFO, "elmo_cli"):
        fetch(f"{server.url}/x", part, Patience(timeout_s=1e6))
    assert f"downloading {server.url}/x: {how_far} after" in caplog.text
