"""What happened in training, epoch by epoch."""

import csv
import dataclasses
import io
from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRecord:
    """The numbers of one epoch.

    Args:
        epoch: Its number, from 1.
        loss: Mean cross-entropy of the training rows in nats, with dropout at work and class weights
            applied; the penalty on the mix left out, so that it compares with ``val_loss``.
        accuracy: Share of training rows predicted correctly, with dropout at work, in [0, 1].
        val_loss: Mean cross-entropy of the validation rows after the epoch, class weights applied.
        val_accuracy: Share of validation rows predicted correctly, in [0, 1].
        seconds: What the epoch took, validation included.
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class History:
    """All epochs of a training.

    Args:
        epochs: One record per finished epoch, in order; at least one.
        best_epoch: Number of the epoch whose weights were kept: the lowest ``val_loss``.
        stopped_early: Whether patience ran out before the last epoch.
        interrupted: Whether the user stopped it (Ctrl-C).
    """

    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    stopped_early: bool = False
    interrupted: bool = False

    @property
    def best(self) -> EpochRecord:
        """The record of the epoch whose weights were kept."""
        return self.epochs[self.best_epoch - 1]

    def rows(self) -> list[dict[str, float]]:
        """Returns one dict per epoch with the fields of `EpochRecord`."""
        return [dataclasses.asdict(record) for record in self.epochs]

    def to_csv(self) -> str:
        """Returns the epochs as CSV, a header and one line per epoch, ready for ``history.csv``."""
        text = io.StringIO()
        names = [field.name for field in dataclasses.fields(EpochRecord)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows())
        return text.getvalue()
