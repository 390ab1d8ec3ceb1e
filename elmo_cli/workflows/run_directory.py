"""What a training leaves behind: one directory, whole or plainly marked."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from elmo_cli import __version__
from elmo_cli.config import RunConfig
from elmo_cli.config_yaml import load_config
from elmo_cli.errors import ConfigError, RunError
from elmo_cli.files import lock, write_text
from elmo_cli.text.preprocessor import Preprocessor

FORMAT_VERSION = 1
_FILES = (
    "MODEL_CARD.md",
    "config.yaml",
    "history.csv",
    "log.txt",
    "metrics.json",
    "preprocessor.json",
    "report.html",
    "run.json",
)
_NAMES_OF_TRAINING = ("train", "valid", "test")
_MAX_NAME_BYTES = 200  # of a report; the name of its picture is a little longer
Status = Literal["running", "complete", "interrupted", "failed"]


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
    def elmo(self) -> Path:
        """Directory of the ELMo that was adapted to the training texts; most runs have none."""
        return self.path / "elmo"

    @property
    def own_elmo(self) -> Path:
        """Directory of the ELMo that belongs to the model: fine-tuned, or copied to go with it."""
        return self.model / "elmo"

    @property
    def checkpoints(self) -> Path:
        """Directory of what a killed training needs to go on."""
        return self.path / "checkpoints"

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
        """What the training said."""
        return self.path / "log.txt"

    @property
    def set_aside(self) -> Path:
        """Where a run that is being replaced waits until the new one is complete."""
        path = Path(os.path.realpath(self.path))
        return path.with_name(f"{path.name}.replaced")

    @property
    def is_run(self) -> bool:
        """Whether elmo-train made this directory."""
        return os.path.isfile(self.path / "run.json")

    @property
    def metrics(self) -> Path:
        """JSON with one report per evaluated table, by name."""
        return self.path / "metrics.json"

    def files(self) -> list[Path]:
        """Returns the files that belong to the run; others may have been put beside them."""
        folders = (self.model, self.elmo, self.checkpoints, self.predictions, self.plots)
        found = [self.path / name for name in _FILES]
        found += [path for folder in folders for path in folder.rglob("*")]
        return [path for path in found if os.path.isfile(path)]

    def read_record(self) -> dict[str, Any]:
        """Reads run.json.

        Raises:
            RunError: If the directory is not a run, or the file is damaged or of a later format.
        """
        path = self.path / "run.json"
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            version, _ = int(record["format_version"]), str(record["status"])
        except (FileNotFoundError, NotADirectoryError) as error:
            what = "is not a run directory (it has no run.json)" if self.path.exists() else "does not exist"
            raise RunError(
                f"{self.path} {what}. Give the directory that elmo-train wrote with -o."
            ) from error
        except OSError as error:
            raise RunError(f"{path} cannot be read: {_reason(error)}. Check its permissions.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path} is damaged ({_reason(error)}). Train the run again.") from error
        if version > FORMAT_VERSION:
            raise RunError(
                f"{path} has format version {version}; this elmo-cli {__version__} reads up to "
                f"{FORMAT_VERSION}. Use the version that wrote it."
            )
        return record

    @property
    def is_complete(self) -> bool:
        """Whether it holds a run whose training came to its end."""
        try:
            return bool(self.read_record()["status"] == "complete")
        except RunError:
            return False

    def check_usable(self) -> None:
        """Refuses a run whose training did not come to a usable end.

        Raises:
            RunError: If it is still running, was killed or failed.
        """
        status = self.read_record()["status"]
        if status in ("complete", "interrupted"):
            return
        what = "failed" if status == "failed" else "was not finished (it still runs, or was killed)"
        kept = RunDirectory(self.set_aside)
        raise RunError(
            f"{self.path}: training {what}. Go on with elmo-train … -o {self.path} --resume, or begin again "
            "with --force." + (f" The run it was to replace is {kept.path}." if kept.is_run else "")
        )

    def read_preprocessor(self) -> Preprocessor:
        """Reads preprocessor.json; raises RunError if it is missing or damaged."""
        path = self.path / "preprocessor.json"
        try:
            return Preprocessor.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{path} cannot be read ({_reason(error)}). Train the run again.") from error
        except RunError as error:
            raise RunError(f"{self.path}: {error}") from error
        except ConfigError as error:
            raise RunError(f"{path} is damaged: {error}") from error

    def read_config(self) -> RunConfig:
        """Reads config.yaml; raises ConfigError if it is damaged."""
        return load_config(self.path / "config.yaml")

    def write_metrics(self, name: str, report: dict[str, Any]) -> None:
        """Adds or replaces the report of one table of the training in metrics.json.

        The caller holds the lock of the training.
        """
        self._write_reports(self._read_reports() | {name: report})

    def forget_reports(self) -> None:
        """Removes what was said of other weights: reports, predictions and pictures.

        The caller holds the lock of the training.
        """
        self.metrics.unlink(missing_ok=True)
        for folder in (self.predictions, self.plots):
            shutil.rmtree(folder, ignore_errors=True)

    def add_evaluation(self, file: Path, report: dict[str, Any]) -> str:
        """Adds the report of a table that was evaluated later to metrics.json.

        Only an earlier report of the same file is replaced. Several processes may do this at once.

        Args:
            file: The table; where it is becomes part of the report, as ``file``.
            report: What JSON knows.

        Returns:
            The name of the report: that of the file, with a few letters added when another report has it.

        Raises:
            RunError: When metrics.json is damaged or cannot be written.
        """
        # What a pipe is called after links are followed changes every time.
        place = os.path.realpath(file) if file.is_file() else os.path.abspath(file)
        with lock(self.path / ".metrics.lock"):
            reports = self._read_reports()
            name = _evaluation_name(place, reports)
            self._write_reports(reports | {name: {**report, "file": place}})
        return name

    def _read_reports(self) -> dict[str, Any]:
        if not self.metrics.is_file():
            return {}
        try:
            return dict(json.loads(self.metrics.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise RunError(f"{self.metrics} is damaged ({_reason(error)}). Delete it.") from error

    def _write_reports(self, reports: dict[str, Any]) -> None:
        write_text(self.metrics, json.dumps(reports, indent=2, ensure_ascii=False) + "\n")


def _evaluation_name(place: str, reports: dict[str, Any]) -> str:
    """Returns a name for the report of a file that no other has; it also fits into a file name."""
    path = Path(place)
    name = path.name
    # Two names may be one on a file system that does not tell capital letters from small ones.
    taken = {
        other.casefold()
        for other, report in reports.items()
        if not isinstance(report, dict) or report.get("file") != place
    } | set(_NAMES_OF_TRAINING)
    if name.casefold() in taken or len(os.fsencode(name)) > _MAX_NAME_BYTES:
        digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()
        name = f"{path.stem[:40]}-{digest[:8]}{path.suffix[:20]}"
    return name


def _reason(error: Exception) -> str:
    """Says in a few words what is wrong with a file."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)
