"""elmo-fetch: what it prints, and what it says when a server misbehaves."""

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from fetch_data import ARCHIVE, MODULE, archive, content
from tiny_run import COMMANDS, invoke
from web_server import Server, raw, redirect, serve

from elmo_cli.elmo.fetching import download
from elmo_cli.elmo.fetching.known import KNOWN, KnownElmo
from elmo_cli.elmo.source import resolve

SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
HDF5 = b"\x89HDF\r\n\x1a\n and so on"


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "ELMO_CLI_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    return tmp_path / "cache"


def fails(result: Result, code: int) -> str:
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines()[-1] != ""
    assert "Error: " in result.stderr
    return result.stderr


def test_the_directory_goes_to_stdout_and_the_rest_to_stderr(server: Server, cache: Path) -> None:
    server.pages["/module.tar.gz"] = ARCHIVE
    result = invoke("fetch", f"{server.url}/module.tar.gz")
    assert result.exit_code == 0, result.stderr
    place = Path(result.stdout.rstrip("\n"))
    assert place.is_relative_to(cache)
    assert content(place) == MODULE
    assert "a TensorFlow Hub module, 3.1 MB" in result.stderr
    assert f"from         {server.url}/module.tar.gz (" in result.stderr
    assert f"SHA-256      {SHA256} (3.1 MB)" in result.stderr
    assert f"fingerprint  {resolve(str(place)).fingerprint}" in result.stderr


def test_quiet_says_the_directory_alone(server: Server) -> None:
    server.pages["/module.tar.gz"] = ARCHIVE
    result = invoke("fetch", f"{server.url}/module.tar.gz", "--quiet")
    assert result.stderr == ""
    assert Path(result.stdout.strip()).is_dir()


def test_what_it_prints_is_a_handle_of_the_same_elmo(server: Server, tiny: Path) -> None:
    for name in ("options.json", "weights.hdf5"):
        server.pages[f"/m/elmo_{name}"] = (tiny / "elmo" / name).read_bytes()
    pair = f"{server.url}/m/elmo_options.json,{server.url}/m/elmo_weights.hdf5"
    expected = resolve(str(tiny / "elmo")).fingerprint
    for handle in (pair, f"{server.url}/m/elmo_weights.hdf5", tiny / "elmo", tiny / "elmo" / "options.json"):
        result = invoke("fetch", handle)
        assert result.exit_code == 0, result.stderr
        assert Path(result.stdout.strip()).is_dir()
        assert resolve(result.stdout.strip()).fingerprint == expected


def test_a_pair_that_is_not_alone_in_its_directory_is_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}_options.json").write_bytes(b"{}")
        (tmp_path / f"{name}_weights.hdf5").write_bytes(HDF5)
    result = invoke("fetch", tmp_path / "b_options.json")
    assert result.stdout == f"{tmp_path / 'b_options.json'},{tmp_path / 'b_weights.hdf5'}\n"


def test_the_list_has_every_name() -> None:
    result = invoke("fetch", "--list")
    assert (result.exit_code, result.stderr) == (0, "")
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["name", "download", "language", "trained", "on", "licence", "from"]
    assert [row.split()[0] for row in rows] == [model.name for model in KNOWN]
    assert all(model.page in row and model.licence in row for model, row in zip(KNOWN, rows, strict=True))


def test_the_checksum_is_checked(server: Server) -> None:
    server.pages["/module.tar.gz"] = ARCHIVE
    handle = f"{server.url}/module.tar.gz"
    assert f"expected {'0' * 64}, received {SHA256}" in fails(
        invoke("fetch", handle, "--sha256", "0" * 64), 4
    )
    assert invoke("fetch", handle, "--sha256", SHA256).exit_code == 0
    assert "not the SHA-256 that was asked for" in fails(invoke("fetch", handle, "--sha256", "0" * 64), 4)


@pytest.mark.parametrize("arguments", [(), ("bundled", "--sha256", "12"), ("bundled", "--sha256", "g" * 64)])
def test_wrong_use(arguments: tuple[str, ...]) -> None:
    assert fails(invoke("fetch", *arguments), 2)


def nlpl() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("encoder.pkl", b"")
    return buffer.getvalue()


half = {name: body for name, body in MODULE.items() if not name.endswith("index")}
BAD = {
    "403": (raw(b"", status=403), "is refused by the server or a proxy between (HTTP 403 Forbidden)"),
    "404": (raw(b"", status=404), "does not exist (HTTP 404)"),
    "503": (raw(b"", status=503), "5 times in a row: HTTP Error 503"),
    "cut": (raw(ARCHIVE[:1000], Content_Length="9000"), "the connection ended after 1,000 of 9,000 bytes"),
    "corrupt": (raw(ARCHIVE[:99] + b"?" + ARCHIVE[100:]), "is a damaged or incomplete archive"),
    "circle": (redirect("/bad"), "redirects in a circle"),
    "file": (redirect("file:///etc/passwd"), "which is no web address"),
    "page": (raw(b"<!doctype html>"), "is a web page (HTML or XML), not an archive"),
    "bomb": (
        raw(archive({"saved_model.pb": bytes(20_000_000)})),
        "was refused: it unpacks to more than 10 MB",
    ),
    "escape": (raw(archive({"../saved_model.pb": b"x"})), "it would write outside its directory"),
    "half empty": (raw(archive(half)), "the module is incomplete, variables.index missing"),
    "no model": (raw(archive({"readme.txt": b"x"})), "neither saved_model.pb (a TensorFlow Hub module) nor"),
    "other": (raw(nlpl()), "is a model of ELMoForManyLangs"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_server_that_misbehaves(server: Server, cache: Path, kind: str) -> None:
    server.answers["/bad"], words = BAD[kind]
    assert words in fails(invoke("fetch", f"{server.url}/bad"), 4)
    folder = cache / "modules"
    assert not folder.exists() or not [path for path in folder.iterdir() if path.is_dir()]


def test_a_server_that_stalls(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = (0.1, 1, 0.0, 1.0, 1000.0)  # a command has no option for its patience
    monkeypatch.setattr(download.Patience.__init__, "__defaults__", quick)
    server.answers["/bad"] = lambda handler: server.closing.wait(10) and None
    assert "2 times in a row: timed out" in fails(invoke("fetch", f"{server.url}/bad"), 4)


def test_503_and_then_good(server: Server) -> None:
    server.pages["/module.tar.gz"] = ARCHIVE
    server.statuses = [503, 503]
    result = invoke("fetch", f"{server.url}/module.tar.gz")
    assert result.exit_code == 0
    assert "HTTP Error 503: Service Unavailable; trying again in 1 s" in result.stderr


def test_a_public_elmo_that_no_address_gives(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = ((f"{server.url}/old",), (f"{server.url}/new.zip",))
    model = KnownElmo("test:gone", addresses, "English", "news", "free", "https://example.org")
    monkeypatch.setattr("elmo_cli.elmo.fetching.known.KNOWN", (model,))
    message = fails(invoke("fetch", "test:gone"), 4)
    assert "none of its 2 addresses gives it" in message
    assert f"  {server.url}/old?tf-hub-format=compressed does not exist (HTTP 404)" in message
    assert f"  {server.url}/new.zip does not exist (HTTP 404)" in message


ELMO = {
    "train": ("{tiny}/train.csv", "-o", "{new}/run", "--elmo", "google/elmo/3"),
    "eval": ("{tiny}/run", "{tiny}/test.csv", "--elmo", "google/elmo/3"),
    "predict": ("{tiny}/run", "A text.", "--elmo", "google/elmo/3"),
    "pretrain": ("{new}/text.txt", "-o", "{new}/elmo", "--init", "google/elmo/3"),
    "fetch": ("google/elmo/3",),
}


def forbid_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr("socket.create_connection", forbidden)
    monkeypatch.setattr("socket.getaddrinfo", forbidden)


@pytest.mark.parametrize("command", ELMO)
@pytest.mark.parametrize("way", ["option", "variable"])
def test_offline_no_command_uses_the_network(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, way: str
) -> None:
    forbid_network(monkeypatch)
    (tmp_path / "text.txt").write_text("A sentence .\n" * 50)
    arguments = [argument.format(tiny=tiny, new=tmp_path) for argument in ELMO[command]]
    if way == "option":
        arguments.append("--offline")
    else:
        monkeypatch.setenv("ELMO_CLI_OFFLINE", "1")
    before = os.environ.get("ELMO_CLI_OFFLINE")
    result = invoke(command, *arguments)
    assert "google/elmo/3 is not in the cache" in fails(result, 4)
    assert os.environ.get("ELMO_CLI_OFFLINE") == before


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_kept_offline(command: str) -> None:
    assert "--offline" in invoke(command, "--help").stdout


FAST = """
import sys
from elmo_cli.cli.fetch import main
main(["bundled"], standalone_mode=False)
heavy = {"tensorflow", "keras", "numpy", "pandas", "h5py"} & set(sys.modules)
sys.exit(f"loaded: {heavy}" if heavy else 0)
"""


def test_nothing_heavy_is_loaded(project: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FAST], capture_output=True, text=True, check=False, cwd=project
    )
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()) == project / "elmo_cli" / "elmo" / "bundled" / "mini"
