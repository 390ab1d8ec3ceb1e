"""What watches a training: the best epoch's weights, early stopping, progress."""

import logging
import math
import time
from dataclasses import dataclass
from typing import Any

import keras
from numpy.typing import NDArray

from elmo_cli.errors import ConfigError
from elmo_cli.progress import bar

logger = logging.getLogger(__name__)
Logs = dict[str, Any]


@dataclass(frozen=True)
class Best:
    """The best epoch so far.

    Args:
        epoch: Its number, from 1.
        val_loss: Its validation loss, in nats.
        weights: Copies of the model's weights at its end, in the order of ``model.weights``.
    """

    epoch: int
    val_loss: float
    weights: tuple[NDArray[Any], ...]


class KeepBest(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the lowest validation loss, and stops when none comes any more.

    Keras's own EarlyStopping gives weights back only when training ends by itself; here `restore` does it
    whenever it is called, after Ctrl-C too.

    Args:
        patience: Epochs without a lower ``val_loss`` after which training stops; 0 stops at the first of
            them, as 1 does.

    Attributes:
        best: The best epoch; None before the first one has ended.
        stopped_early: Whether patience ran out.
    """

    def __init__(self, patience: int) -> None:
        super().__init__()
        self.patience = patience
        self.best: Best | None = None
        self.stopped_early = False

    def go_on(self, best: Best, num_epochs: int) -> None:
        """Takes up the state of an earlier process: its best epoch, and how many epochs it had finished."""
        self.best = best
        self.stopped_early = self._out_of_patience(best, num_epochs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares ``logs["val_loss"]`` with the best so far; ``epoch`` counts from 0."""
        loss = (logs or {})["val_loss"]
        if self.best is None or loss < self.best.val_loss:
            # One assignment: an interrupt must not leave a number without its weights.
            self.best = Best(epoch + 1, loss, tuple(self.model.get_weights()))
        elif self._out_of_patience(self.best, epoch + 1):
            self.stopped_early = True
            self.model.stop_training = True

    def restore(self) -> None:
        """Gives the model the best epoch's weights; does nothing before the first epoch has ended."""
        if self.best is not None:
            self.model.set_weights(self.best.weights)

    def _out_of_patience(self, best: Best, num_epochs: int) -> bool:
        """Returns whether training ends after so many epochs."""
        return num_epochs - best.epoch >= max(self.patience, 1)


class KeepLast(KeepBest):
    """Keeps the last epoch if it is accurate enough, else what was there before the training.

    For a training whose step size falls to its end: a loss on few validation rows says less about which
    epoch is the best than that does, and rises where the classifier only becomes surer of itself. For the
    same reason an epoch on the way that was accurate enough by chance does not take the place of a last one
    that is not.

    Args:
        before: The epoch that this training goes on from, with the weights it begins with.
        least_accuracy: Share of the validation rows, in [0, 1], that must be predicted correctly.
    """

    def __init__(self, before: Best, least_accuracy: float) -> None:
        super().__init__(patience=0)
        self.before = self.best = before
        self.least_accuracy = least_accuracy

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Looks whether ``logs["val_accuracy"]`` is enough; ``epoch`` counts from 0."""
        logs = logs or {}
        if logs["val_accuracy"] >= self.least_accuracy:
            self.best = Best(epoch + 1, logs["val_loss"], tuple(self.model.get_weights()))
        else:
            self.best = self.before

    def _out_of_patience(self, best: Best, num_epochs: int) -> bool:
        return False


class StopOnNaN(keras.callbacks.Callback):
    """Ends training with a message when a loss is no longer a number.

    Args:
        learning_rate: The step size in use, for the message.
        option: What gives another one on the command line, up to the number.
    """

    def __init__(self, learning_rate: float, option: str = "--learning-rate ") -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.option = option

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Raises ConfigError when ``loss`` or ``val_loss`` is NaN or infinite."""
        for name in ("loss", "val_loss"):
            value = (logs or {})[name]
            if not math.isfinite(value):
                raise ConfigError(
                    f"Training broke down in epoch {epoch + 1}: {name} became {value} with a learning "
                    f"rate of {self.learning_rate:g}. Give a smaller one, for example "
                    f"{self.option}{self.learning_rate / 10:g}."
                )


class ShowProgress(keras.callbacks.Callback):
    """Shows how training goes: a bar over epochs on a terminal, one timed log line per epoch elsewhere.

    Args:
        num_epochs: Most epochs there can be.
        num_done: How many of them an earlier process has finished.
    """

    def __init__(self, num_epochs: int, *, num_done: int = 0) -> None:
        super().__init__()
        self.num_epochs = num_epochs
        self.num_done = num_done
        self._bar: Any = None
        self._start = 0.0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Opens the bar where there is to be one."""
        self._start = time.monotonic()
        self._bar = bar(total=self.num_epochs, description="training", unit="epochs", done=self.num_done)

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
