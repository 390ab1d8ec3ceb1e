"""What watches a training: the best epoch's weights, early stopping, progress."""

import logging
import math
import sys
import time
from typing import Any

import keras
from tqdm import tqdm

from elmo_cli.errors import ConfigError

logger = logging.getLogger(__name__)
Logs = dict[str, Any]


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the lowest validation loss, and stops when none comes any more.

    Keras's own EarlyStopping gives weights back only when training ends by itself; here `restore` does it
    whenever it is called, after Ctrl-C too.

    Args:
        patience: Epochs without a lower ``val_loss`` after which training stops, at least 1.
    """

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience
        self.best_loss = math.inf
        self.best_epoch: int | None = None
        self.stopped_early = False
        self._best_weights: list[Any] = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares ``logs["val_loss"]`` with the best so far; ``epoch`` counts from 0."""
        loss = (logs or {})["val_loss"]
        if self.best_epoch is None or loss < self.best_loss:
            # The weights first: an interrupt between two of these lines must not leave a number without them.
            self._best_weights = self.model.get_weights()
            self.best_loss, self.best_epoch = loss, epoch + 1
        elif epoch + 1 - self.best_epoch >= self.patience:
            self.stopped_early = True
            self.model.stop_training = True

    def restore(self) -> None:
        """Gives the model the best epoch's weights; does nothing before the first epoch has ended."""
        if self.best_epoch is not None:
            self.model.set_weights(self._best_weights)


class StopOnNaN(keras.callbacks.Callback):
    """Ends training with a message when a loss is no longer a number.

    Args:
        learning_rate: The step size in use, for the message.
    """

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.learning_rate = learning_rate

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Raises ConfigError when ``loss`` or ``val_loss`` is NaN or infinite."""
        for name in ("loss", "val_loss"):
            value = (logs or {})[name]
            if not math.isfinite(value):
                raise ConfigError(
                    f"Training broke down in epoch {epoch + 1}: {name} became {value} with a learning "
                    f"rate of {self.learning_rate:g}. Give a smaller one, for example "
                    f"--learning-rate {self.learning_rate / 10:g}."
                )


class ShowProgress(keras.callbacks.Callback):
    """Shows how training goes: a bar over epochs on a terminal, one timed log line per epoch elsewhere.

    Args:
        num_epochs: Most epochs there can be.
    """

    def __init__(self, num_epochs: int) -> None:
        super().__init__()
        self.num_epochs = num_epochs
        self._bar: Any = None
        self._start = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Opens the bar."""
        self._start = time.monotonic()
        if sys.stderr.isatty():
            self._bar = tqdm(
                total=self.num_epochs, desc="training", unit=" epochs", leave=False, file=sys.stderr
            )

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Moves the bar or writes a line."""
        logs = logs or {}
        if self._bar is not None:
            self._bar.set_postfix(
                {name: f"{logs[name]:.3f}" for name in ("loss", "val_loss", "val_accuracy")}
            )
            self._bar.update()
            return
        logger.info(
            "epoch %d of %d: loss %.4f, accuracy %.3f, val_loss %.4f, val_accuracy %.3f, after %.1f s",
            epoch + 1,
            self.num_epochs,
            logs["loss"],
            logs["accuracy"],
            logs["val_loss"],
            logs["val_accuracy"],
            time.monotonic() - self._start,
        )

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Closes the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
