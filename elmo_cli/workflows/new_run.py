"""A run directory in the making: free or replaceable, logged, timed, whole or plainly marked."""

import json
import logging
import os
import platform
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata
from logging.handlers import MemoryHandler
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from elmo_cli import __version__
from elmo_cli.config import RunConfig
from elmo_cli.config_yaml import to_yaml
from elmo_cli.elmo.handles import local_files
from elmo_cli.errors import ElmoCliError, RunError
from elmo_cli.files import LockedError, lock, write_text
from elmo_cli.workflows.run_directory import FORMAT_VERSION, RunDirectory, Status

_VERSIONS_OF = ("tensorflow", "keras", "tensorflow-hub", "numpy", "pandas", "scikit-learn")
_MOST_WAITING = 100_000  # messages logged before there is a file for them
_PACKAGE = logging.getLogger("elmo_cli")


class NewRun:
    """Makes a run directory and keeps its run.json true to what happens; a context manager.

        with NewRun(Path("runs/mine"), config) as run:
            with run.stage("reading"):
                tables = read_training_tables(config)
            train(run, tables)

    Nothing is written before `begin`, so that a mistake in the data leaves nothing behind; what the package
    logs from the start of the block on is in log.txt all the same. A run that is replaced is set aside
    first, and removed only when the new one is complete. It comes back if the new one fails before that
    has anything to be gone on with; else it waits. Of several
    processes that want the same place one has it from `begin` to the end of the block; the others are
    refused. The lock is an empty file, ``.NAME.lock`` beside the directory (``.lock`` in it where nothing can
    be written beside it), and stays.

    Args:
        path: Where the run is wanted.
        config: Written as config.yaml.
        force: Whether a run that is there may be replaced; anything else never is.
        resume: Whether a run that is there is gone on with; its training says whether it is the same. Only
            whether it adapts its ELMo is compared here, before minutes are spent on that.
        command: The command line, for the record.

    Attributes:
        directory: The run directory.
        config: As given.
        resume: As given.
        record: What becomes run.json; add to it what is worth knowing.
        status: What the run is when the block ends well; set it to ``interrupted`` where the user stopped
            early with usable results.

    Raises:
        RunError: If something is in the way, the place cannot be written, a table or the ELMo lies in a run
            that is replaced, or a run that adapts its ELMo is gone on with as one that does not, or the other
            way round.
        ConfigError: If config.yaml of the run to go on with is damaged.
    """

    def __init__(
        self, path: Path, config: RunConfig, *, force: bool = False, resume: bool = False, command: str = ""
    ) -> None:
        # Where it really is: neither a link nor the current directory changes while the run is made.
        self.directory = RunDirectory(Path(os.path.realpath(path)))
        self.config = config
        self.resume = resume
        self.record: dict[str, Any] = {}
        self.status: Status = "complete"
        self._path = path
        self._force = force
        self._command = command
        self._start = 0.0
        self._seconds: dict[str, float] = {}
        self._begun = False
        self._held = ExitStack()
        self._before: dict[Path, str] = {}
        self._log: logging.Handler = MemoryHandler(_MOST_WAITING, flushLevel=100, flushOnClose=False)

    def __enter__(self) -> Self:
        """Checks that the place is free and begins to listen to what is logged."""
        self._check_free()
        self._check_stays()
        self._start = time.time()
        _PACKAGE.addHandler(self._log)
        return self

    def begin(self, *needed: Path) -> RunDirectory:
        """Makes the directory, marked as running; a run that is replaced is set aside.

        Args:
            *needed: What the new run needs, beside the files that its configuration names.
        """
        self._hold_lock()
        self._check_free()  # again: another process may have come in between
        self._check_stays(*needed)
        place = self.directory.path
        before = [place / "run.json", place / "config.yaml"] if self.resume and self.directory.is_run else []
        self._before = {file: file.read_text(encoding="utf-8") for file in before}
        self._make_room()
        self.record = {
            "format_version": FORMAT_VERSION,
            "status": "running",
            "command": self._command,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self._start)),
            "versions": {"elmo-cli": __version__, "python": platform.python_version()}
            | {name: metadata.version(name) for name in _VERSIONS_OF},
            "seed": self.config.seed,
        } | self.record
        self._write_record("running")
        write_text(self.directory.path / "config.yaml", to_yaml(self.config))
        self._write_log_to(self.directory.log)
        return self.directory

    def point_of_no_return(self) -> None:
        """Says that files of a run that is resumed are replaced from here on.

        What fails before leaves the run as it was; what fails later leaves it marked as failed, to be gone on
        with once more. For a run that is not resumed this changes nothing.
        """
        self._before = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures the time that the block takes, for run.json; the same name may come again."""
        start = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - start

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Marks the run as complete, or as failed; brings back a run that was to be replaced for nothing."""
        _PACKAGE.removeHandler(self._log)
        try:
            with self._held:
                if self._begun:
                    self._end(error)
        finally:
            self._log.close()

    def _end(self, error: BaseException | None) -> None:
        aside = self.directory.set_aside
        was_run = RunDirectory(aside).is_run  # else it only has the name
        replaces = self._force and was_run
        if error is None:
            self._write_record(self.status)
            if self.status == "complete" and (replaces or (self.resume and was_run)):
                _remove(aside)
            elif replaces:
                _PACKAGE.warning(
                    "%s was interrupted, so the run that it replaces is kept in %s until it is complete "
                    "(--resume)",
                    self._path,
                    aside,
                )
        elif self._before:
            for file, text in self._before.items():  # what was resumed is what it was
                write_text(file, text)
        elif replaces and not self._can_be_gone_on_with():
            self._log.close()
            _remove(self.directory.path)
            os.replace(aside, self.directory.path)
        else:
            self.record["error"] = f"{type(error).__name__}: {error}"
            trace = None if isinstance(error, ElmoCliError) else (type(error), error, error.__traceback__)
            self._log.handle(
                _PACKAGE.makeRecord(_PACKAGE.name, logging.ERROR, __file__, 0, str(error), (), trace)
            )
            with suppress(RunError):  # the disk may be full; the error that is on its way says more
                self._write_record("failed")
            if replaces:
                _PACKAGE.warning(
                    "What %s has learned is kept: --resume, without --force, goes on with it. The run that "
                    "it was to replace is %s",
                    self._path,
                    aside,
                )
            elif isinstance(error, KeyboardInterrupt) and self._can_be_gone_on_with():
                _PACKAGE.warning("What %s has learned so far is kept: --resume goes on with it", self._path)

    def _can_be_gone_on_with(self) -> bool:
        """Whether there is anything that ``--resume`` would not have to do again."""
        folders = (self.directory.checkpoints, self.directory.elmo)
        return any(file.is_file() for folder in folders for file in folder.rglob("*"))

    def _check_free(self) -> None:
        path = self._path
        try:
            if not path.exists():
                return
            if not path.is_dir():
                raise RunError(f"{path} is a file. Choose another -o.")
            # A process that was killed before it wrote anything may have left the lock.
            if all(file.name == ".lock" for file in path.iterdir()):
                return
            is_run = self.directory.is_run
        except OSError as error:
            raise RunError(f"{path} cannot be read ({error.strerror}). Choose another -o.") from error
        if not is_run:
            raise RunError(
                f"{path} is not empty and not a run, so nothing in it is touched. Choose another -o."
            )
        if self.resume:
            self._check_adapts_as_before()
            return
        if not self._force:
            raise RunError(
                f"{path} holds a run already. Choose another -o, replace it with --force, or go on with "
                "one that was interrupted or killed with --resume."
            )
        aside = RunDirectory(self.directory.set_aside)
        if aside.path.exists() and not aside.is_run:
            raise RunError(f"{aside.path} is in the way of replacing {path}. Move it, or choose another -o.")

    def _check_stays(self, *needed: Path) -> None:
        """Refuses to go on when tables, ELMo or what else is needed lie in a run that will be removed."""
        data = self.config.data
        tables = [Path(table) for table in (data.train, data.valid, data.test) if table is not None]
        place, aside = self.directory, RunDirectory(self.directory.set_aside)
        doomed = ([place] if self._force else []) + ([aside] if self._force or self.resume else [])
        for path in (*tables, *local_files(self.config.elmo.handle), *needed):
            for run in doomed:
                if run.is_run and Path(os.path.realpath(path)).is_relative_to(run.path):
                    raise RunError(
                        f"{path} lies in {run.path}, a run that is removed when the new one is complete. "
                        "Copy it to another place first, or choose another -o."
                    )

    def _check_adapts_as_before(self) -> None:
        adapted = self.directory.read_config().elmo.adapt
        if adapted != self.config.elmo.adapt:
            was, now = ("with", "without") if adapted else ("without", "with")
            raise RunError(
                f"{self._path} was begun {was} --adapt, so it cannot be gone on with {now} it. Resume it "
                f"{was} --adapt, or begin again with --force."
            )

    def _hold_lock(self) -> None:
        """Keeps other processes away until the run ends; the lock does not move when the directory does."""
        place = self.directory.path
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot_be_made(error) from error
        # Where nothing can be written beside the directory, it cannot be moved either.
        beside = os.access(place.parent, os.W_OK)
        path = place.with_name(f".{place.name}.lock") if beside else place / ".lock"
        try:
            self._held.enter_context(lock(path, timeout_s=0))
        except LockedError as error:
            raise RunError(f"{self._path}: another process is training this run. Wait for it.") from error

    def _make_room(self) -> None:
        place, aside = self.directory.path, self.directory.set_aside
        try:
            if self.directory.is_run and not self.resume:
                # An earlier run may have been left aside: where this one is not complete, that one stays.
                if aside.exists():
                    shutil.rmtree(aside if self.directory.is_complete else place)
                if place.exists():
                    place.rename(aside)
            self._begun = True
            place.mkdir(exist_ok=True)
        except OSError as error:
            raise self._cannot_be_made(error) from error

    def _cannot_be_made(self, error: OSError) -> RunError:
        return RunError(f"{self._path} cannot be made ({error.strerror}). Choose another -o.")

    def _write_record(self, status: Status) -> None:
        total = round(time.time() - self._start, 1)
        seconds = {name: round(value, 1) for name, value in self._seconds.items()}
        self.record |= {"status": status, "seconds": {**seconds, "total": total}}
        text = json.dumps(self.record, indent=2, ensure_ascii=False)
        write_text(self.directory.path / "run.json", text + "\n")

    def _write_log_to(self, path: Path) -> None:
        """Moves what was logged so far, and all that comes, into a file."""
        file = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        waiting, self._log = self._log, file
        if isinstance(waiting, MemoryHandler):
            waiting.setTarget(file)
            waiting.flush()
        _PACKAGE.removeHandler(waiting)
        waiting.close()
        _PACKAGE.addHandler(file)


def _remove(directory: Path) -> None:
    """Removes what is not needed any more; what cannot be removed is said, not failed on."""
    shutil.rmtree(directory, ignore_errors=True)
    if directory.exists():
        _PACKAGE.warning("%s could not be removed; it is not needed any more", directory)
