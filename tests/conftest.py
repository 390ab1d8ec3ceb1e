"""What every test may use."""

import contextlib
import logging
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root directory."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public data beside the project; tests that need it skip where it is absent."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the shared data folder is not here")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither use nor fill the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELMO_CLI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@contextlib.contextmanager
def messages_as_before() -> Iterator[None]:
    """Commands send the package's messages to stderr; afterwards they go where they went before."""
    package = logging.getLogger("elmo_cli")
    before = package.level, package.propagate, [*package.handlers]
    yield
    package.setLevel(before[0])
    package.propagate, package.handlers[:] = before[1:]


@pytest.fixture
def heeds_ctrl_c() -> Iterator[None]:
    """A process that was started in the background ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _messages_as_before() -> Iterator[None]:
    with messages_as_before():
        yield


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with train.csv, test.csv, a tiny ELMo in elmo/ and a run trained with them in run/.

    It is shared by all tests: copy what a test changes.
    """
    from tiny_run import invoke, write_elmo, write_tables

    directory = tmp_path_factory.mktemp("tiny")
    write_tables(directory)
    write_elmo(directory / "elmo")
    tables = [directory / "train.csv", "--test", directory / "test.csv"]
    few = ["--epochs", "4", "--batch-size", "8", "--learning-rate", "0.02"]
    result = invoke("train", *tables, "--elmo", directory / "elmo", "-o", directory / "run", *few)
    if result.exit_code:
        raise RuntimeError(f"training the tiny run failed:\n{result.output}")
    return directory


@pytest.fixture
def run(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny run for one test to damage."""
    return Path(shutil.copytree(tiny / "run", tmp_path / "run"))
