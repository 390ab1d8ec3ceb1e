"""A small training for tests, in this process or in another one."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from elmo_cli.config import TrainingConfig
from elmo_cli.training.arrays import LabelledArrays
from elmo_cli.training.determinism import make_deterministic
from elmo_cli.training.history import History
from elmo_cli.training.loop import fit


def rows(num_rows: int, seed: int = 0, num_classes: int = 3) -> LabelledArrays:
    random = np.random.default_rng(seed)
    targets = random.integers(0, num_classes, num_rows).astype(np.int32)
    inputs = np.eye(num_classes, 5)[targets] + random.normal(scale=0.4, size=(num_rows, 5))
    return LabelledArrays(inputs.astype(np.float32), targets)


def model(dropout: float = 0.2, seed: int = 7) -> keras.Model:
    make_deterministic(seed)
    return keras.Sequential([keras.layers.Dropout(dropout), keras.layers.Dense(3)])


def train(*, callbacks: Any = (), checkpoints: Any = None, **config: Any) -> tuple[keras.Model, History]:
    classifier = model()
    data, valid, config = rows(50), rows(20, seed=1), TrainingConfig(**config)
    history = fit(classifier, data, valid, config, seed=7, callbacks=callbacks, checkpoints=checkpoints)
    return classifier, history


def digest(classifier: keras.Model) -> str:
    """The bits of a model's weights and random states, as text."""
    values = (np.asarray(variable).tobytes() for variable in classifier.variables)
    return hashlib.sha256(b"".join(values)).hexdigest()


class AtEpoch(keras.callbacks.Callback):
    """Does something at the end (or the beginning) of an epoch, counted from 0."""

    def __init__(self, epoch: int, action: Any, *, begin: bool = False) -> None:
        super().__init__()
        self.epoch, self.action, self.begin = epoch, action, begin

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.begin and epoch == self.epoch:
            self.action(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.begin and epoch == self.epoch:
            self.action(self.model)


def interrupt(model: keras.Model) -> None:
    raise KeyboardInterrupt


def in_another_process(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Runs Python code that may import this module."""
    path = [entry for entry in sys.path if entry]
    environment = {"PYTHONPATH": ":".join(path), "PYTHONHASHSEED": "5", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, cwd=directory, capture_output=True, text=True, check=False, timeout=120
    )
