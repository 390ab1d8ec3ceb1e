"""What a training leaves behind: one directory, whole or plainly marked."""

import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from elmo_cli import __version__
from elmo_cli.config import RunConfig, load_config, to_yaml
from elmo_cli.errors import RunError
from elmo_cli.files import write_text
from elmo_cli.text.preprocessor import Preprocessor

FORMAT_VERSION = 1
Status = Literal["running", "complete", "interrupted", "failed"]
_VERSIONS_OF = ("tensorflow", "keras", "tensorflow-hub", "numpy", "pandas", "scikit-learn")


@dataclass(frozen=True)
class RunDirectory:
    """Paths and records of a run.

    Args:
        path: The directory.
    """

    path: Path

    @property
    def model(self) -> Path:
        """Directory of the trained weights."""
        return self.path / "model"

    @property
    def predictions(self) -> Path:
        """Directory of the tables with predictions made while training."""
        return self.path / "predictions"

    @property
    def plots(self) -> Path:
        """Directory of the pictures."""
        return self.path / "plots"

    @property
    def log(self) -> Path:
        """The log of the training."""
        return self.path / "log.txt"

    @property
    def metrics(self) -> Path:
        """JSON with one report per evaluated table, by name."""
        return self.path / "metrics.json"

    def read_record(self) -> dict[str, Any]:
        """Reads run.json.

        Raises:
            RunError: If the directory is not a run, or the file is damaged or of a later format.
        """
        path = self.path / "run.json"
        if not path.is_file():
            what = "is not a run directory (it has no run.json)" if self.path.is_dir() else "does not exist"
            raise RunError(f"{self.path} {what}. Give the directory that elmo-train wrote with -o.")
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            version = int(record["format_version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged ({error}). Train the run again.") from error
        if version > FORMAT_VERSION:
            raise RunError(
                f"{path} has format version {version}; this elmo-cli {__version__} reads up to "
                f"{FORMAT_VERSION}. Use the version that wrote it."
            )
        return record

    def check_usable(self) -> None:
        """Refuses a run whose training did not come to a usable end.

        Raises:
            RunError: If it is still running, was killed or failed.
        """
        status = self.read_record()["status"]
        if status not in ("complete", "interrupted"):
            what = "failed" if status == "failed" else "was not finished (it still runs, or was killed)"
            raise RunError(
                f"{self.path}: training {what}. Train it again: elmo-train … -o {self.path} --force."
            )

    def read_preprocessor(self) -> Preprocessor:
        """Reads preprocessor.json; raises RunError if it is missing or damaged."""
        path = self.path / "preprocessor.json"
        try:
            return Preprocessor.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RunError(f"{path} cannot be read ({error.strerror}). Train the run again.") from error

    def read_config(self) -> RunConfig:
        """Reads config.yaml; raises ConfigError if it is damaged."""
        return load_config(self.path / "config.yaml")

    def write_metrics(self, name: str, report: dict[str, Any]) -> None:
        """Adds or replaces the report of one table in metrics.json."""
        reports: dict[str, Any] = {}
        if self.metrics.is_file():
            try:
                reports = json.loads(self.metrics.read_text(encoding="utf-8"))
            except ValueError as error:
                raise RunError(f"{self.metrics} is damaged ({error}). Delete it.") from error
        reports[name] = report
        write_text(self.metrics, json.dumps(reports, indent=2, ensure_ascii=False) + "\n")


def check_free(path: Path, *, force: bool) -> None:
    """Refuses to train into a directory that holds something.

    Args:
        path: Where the run is wanted.
        force: Whether a run that is there may be replaced; anything else never is.

    Raises:
        RunError: If something is in the way.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise RunError(f"{path} is a file. Choose another -o.")
    try:
        if not any(path.iterdir()):
            return
    except OSError as error:
        raise RunError(f"{path} cannot be read ({error.strerror}). Choose another -o.") from error
    if not (path / "run.json").is_file():
        raise RunError(f"{path} is not empty and not a run, so nothing in it is touched. Choose another -o.")
    if not force:
        raise RunError(f"{path} holds a run already. Choose another -o, or replace it with --force.")


@contextmanager
def new_run(
    path: Path, config: RunConfig, *, force: bool, command: str
) -> Iterator[tuple[RunDirectory, dict[str, Any]]]:
    """Makes a run directory and keeps its run.json true to what happens inside the block.

    A run that is replaced is set aside first, and removed only when the new one is complete; it
    comes back if the new one fails.

    Args:
        path: Where the run is wanted.
        config: Written as config.yaml.
        force: Whether a run that is there is replaced.
        command: The command line, for the record.

    Yields:
        The directory, and the record that becomes run.json; add to it what is worth knowing, and set
        ``status`` to ``interrupted`` where the user stopped early with usable results.

    Raises:
        RunError: If something is in the way or the place cannot be written.
    """
    check_free(path, force=force)
    aside = path.with_name(f"{path.name}.replaced")
    try:
        if path.exists() and any(path.iterdir()):
            # A killed run may have left one aside: that one is the finished one, so it stays.
            if aside.exists():
                shutil.rmtree(path)
            else:
                path.rename(aside)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be made ({error.strerror}). Choose another -o.") from error
    run = RunDirectory(path)
    start = time.time()
    record: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "status": "running",
        "command": command,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(start)),
        "versions": {"elmo-cli": __version__, "python": platform.python_version()}
        | {name: metadata.version(name) for name in _VERSIONS_OF},
        "seed": config.seed,
    }

    def write(status: Status) -> None:
        record["status"] = status
        record["seconds"] = round(time.time() - start, 1)
        write_text(path / "run.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    write("running")
    write_text(path / "config.yaml", to_yaml(config))
    try:
        with _log_to(run.log):
            yield run, record
    except BaseException:
        if aside.exists():
            shutil.rmtree(path, ignore_errors=True)
            os.replace(aside, path)
        else:
            write("failed")
        raise
    write("interrupted" if record["status"] == "interrupted" else "complete")
    if aside.exists():
        shutil.rmtree(aside)


@contextmanager
def _log_to(path: Path) -> Iterator[None]:
    """Writes what the package logs to a file, too."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    package = logging.getLogger("elmo_cli")
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)
        handler.close()
