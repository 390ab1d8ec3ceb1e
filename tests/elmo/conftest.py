"""Modules in the published formats, each built once, and a web server to fetch them from."""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_server import Server, serve

from elmo_cli.elmo.fetching.connection import CERTIFICATE_VARIABLES
from elmo_cli.elmo.fetching.fetch import OFFLINE_VARIABLE

BUILDER = Path(__file__).parent / "hub" / "tf1_modules.py"
NATIVE_KINDS = ("elmo", "elmo-marks", "elmo-261", "elmo-261-marks", "elmo-shifted")
FOREIGN_KINDS = ("elmo-tanh", "elmo-gates", "elmo-swapped", "elmo-more-layers", "elmo-twin")
TF1_KINDS = (*NATIVE_KINDS, *FOREIGN_KINDS, "elmo-default", "text", "constant", "infinite", "image")
TF1_KINDS += ("elmo-resource",)  # turns resource variables on for all that come after it
TF2_KINDS = ("elmo-tf2", "text-tf2", "callable-tf2")


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
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        *CERTIFICATE_VARIABLES,
        OFFLINE_VARIABLE,
    ):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return folder


@pytest.fixture
def server() -> Iterator[Server]:
    """A running `Server`; ``stop()`` takes it away before the test ends."""
    with serve() as running:
        yield running
