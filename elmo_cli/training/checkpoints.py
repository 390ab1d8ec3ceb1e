"""What a killed training needs to go on exactly where it was."""

import dataclasses
import itertools
import json
import logging
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from elmo_cli.errors import RunError
from elmo_cli.files import atomic_write
from elmo_cli.training.callbacks import Best
from elmo_cli.training.history import EpochRecord

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
FILE_NAME = "last_and_best.npz"
# Two limits on what saving costs: so many seconds of training between two writes, and this share of the time.
LEAST_PAUSE_S = 1.0
MOST_SHARE = 0.01


@dataclass(frozen=True)
class Checkpoint:
    """A training at the end of an epoch, copied: later steps do not change it.

    Args:
        records: What happened so far, one record per epoch; at least one.
        best: The best of these epochs.
        variables: Values of the variables that were given to `Checkpoints.begin`, in their order.
    """

    records: tuple[EpochRecord, ...]
    best: Best
    variables: tuple[NDArray[Any], ...]


class Checkpoints:
    """Keeps the checkpoint of one training in ``last_and_best.npz``: the last epoch and the best one.

    Both stand in one file because one file is moved into its place in one step: whenever the process is
    killed, the last state and the best weights that are found belong together. There is no pickle in it.
    Writing is rare enough to cost about 1 % of the time; a kill loses the epochs since the last write,
    and going on repeats them to the last bit.

    Args:
        directory: Holds checkpoints alone; made when the first one is written.
        identity: What the training is made of, as lines of text such as ``learning_rate: 0.001`` or
            ``train.csv sha256: …``; a checkpoint with another text is refused, naming the first line that
            differs. Leave out what may change on the way, such as the number of epochs.
        resume: Whether to go on from what is there. Otherwise it is removed when training begins.
    """

    def __init__(self, directory: Path, *, identity: str, resume: bool = False) -> None:
        self.path = directory / FILE_NAME
        self.identity = identity
        self.resume = resume
        self._pending: Checkpoint | None = None
        self._not_before = 0.0

    def begin(self, variables: Sequence[keras.Variable]) -> Checkpoint | None:
        """Gives variables the values they had, and says where to go on; tidies up after a kill.

        Args:
            variables: All that training may change: those of the model, among them the states of dropout's
                random numbers (``model.variables``, not ``model.weights``), and the optimizer's.

        Returns:
            None for a training from the beginning.

        Raises:
            RunError: If the checkpoint is of another training or a later version, or cannot be read; if an
                old one cannot be removed.
        """
        for unfinished in self.path.parent.glob(f".tmp-*-{FILE_NAME}"):
            _remove(unfinished)
        if not self.resume:
            _remove(self.path)
            return None
        if not self.path.exists():
            logger.info("There is no checkpoint in %s: training from the beginning", self.path.parent)
            return None
        checkpoint = _read(self.path, self.identity)
        if [value.shape for value in checkpoint.variables] != [tuple(one.shape) for one in variables]:
            raise RunError(
                f"{self.path} is of another model: its weights have other shapes. Go on with the settings "
                "it began with, or train from the beginning."
            )
        for variable, value in zip(variables, checkpoint.variables, strict=True):
            variable.assign(value)
        logger.info("Going on after epoch %d, from %s", len(checkpoint.records), self.path)
        return checkpoint

    def keep(self, records: Sequence[EpochRecord], best: Best, variables: Sequence[keras.Variable]) -> None:
        """Takes the state at the end of an epoch, and writes it when the last writing is long enough ago.

        Args:
            records: All epochs so far.
            best: The best of them.
            variables: Those that were given to `begin`.

        Raises:
            RunError: If it cannot be written.
        """
        values = tuple(keras.ops.convert_to_numpy(variable) for variable in variables)
        self._pending = Checkpoint(tuple(records), best, values)
        if time.monotonic() >= self._not_before:
            self.flush()

    def flush(self) -> None:
        """Writes the latest state unless that was done; call it when training ends, however it ends.

        Raises:
            RunError: If it cannot be written.
        """
        if self._pending is None:
            return
        start = time.monotonic()
        _write(self.path, self._pending, self.identity)
        self._pending = None
        end = time.monotonic()
        self._not_before = end + max(LEAST_PAUSE_S, (end - start) / MOST_SHARE)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"{path} cannot be removed ({error.strerror}). Choose another place.") from error


def _write(path: Path, checkpoint: Checkpoint, identity: str) -> None:
    state = {
        "format_version": FORMAT_VERSION,
        "identity": identity,
        "best_epoch": checkpoint.best.epoch,
        # JSON gives a float back to the last bit.
        "epochs": [dataclasses.asdict(record) for record in checkpoint.records],
    }
    arrays: dict[str, Any] = {f"last_{i}": value for i, value in enumerate(checkpoint.variables)}
    arrays |= {f"best_{i}": value for i, value in enumerate(checkpoint.best.weights)}
    text = np.frombuffer(json.dumps(state).encode(), np.uint8)
    with atomic_write(path, "wb") as file:
        np.savez(file, state=text, **arrays)


def _read(path: Path, identity: str) -> Checkpoint:
    try:
        # Opened here, because np.load leaves a damaged file open.
        with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
            state = json.loads(file["state"].tobytes())
            _check(path, int(state["format_version"]), str(state["identity"]), identity)
            records = tuple(EpochRecord(**record) for record in state["epochs"])
            epoch = int(state["best_epoch"])
            best = Best(epoch, records[epoch - 1].val_loss, _numbered(file, "best"))
            return Checkpoint(records, best, _numbered(file, "last"))
    except (OSError, EOFError, ValueError, TypeError, LookupError, zipfile.BadZipFile, zlib.error) as error:
        raise RunError(
            f"{path} cannot be read ({error}). Delete it, and train from the beginning."
        ) from error


def _numbered(file: Any, name: str) -> tuple[NDArray[Any], ...]:
    num_arrays = sum(key.startswith(f"{name}_") for key in file.files)
    return tuple(file[f"{name}_{i}"] for i in range(num_arrays))


def _check(path: Path, version: int, saved: str, wanted: str) -> None:
    """Refuses a checkpoint of a later version or of another training."""
    if version > FORMAT_VERSION:
        raise RunError(
            f"{path} has format version {version}; this elmo-cli reads up to {FORMAT_VERSION}. "
            "Go on with the version that wrote it."
        )
    if saved != wanted:
        pairs = itertools.zip_longest(saved.splitlines(), wanted.splitlines(), fillvalue="")
        was, now = next((pair for pair in pairs if pair[0] != pair[1]), (saved, wanted))
        raise RunError(
            f'{path} is of another training: it began with "{was.strip()}", where there is "{now.strip()}" '
            "now. Go on with the same data and settings, or train from the beginning."
        )
