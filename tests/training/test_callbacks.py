"""Progress on a terminal and elsewhere; the rest is tested with the loop."""

import io
import sys

import pytest

from elmo_cli.training.callbacks import Best, KeepLast, ShowProgress

LOGS = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.25, "val_accuracy": 0.5}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Model:
    weights = 0.0

    def get_weights(self) -> list[float]:
        return [self.weights]

    def set_weights(self, weights: list[float]) -> None:
        (self.weights,) = weights


@pytest.mark.parametrize(
    ("accuracies", "kept"), [([0.9, 0.8], 2), ([0.9, 0.7], 0), ([0.7, 0.8], 2), ([0.7, 0.7], 0)]
)
def test_the_last_epoch_is_kept_or_none(accuracies: list[float], kept: int):
    model = Model()
    keep = KeepLast(Best(0, 1.0, (0.0,)), least_accuracy=0.8)
    keep.set_model(model)
    for epoch, accuracy in enumerate(accuracies):
        model.weights = epoch + 1.0
        keep.on_epoch_end(epoch, {"val_loss": 1.0, "val_accuracy": accuracy})
    keep.restore()
    assert keep.best.epoch == kept == model.weights


def test_a_terminal_gets_a_bar(monkeypatch, caplog):
    caplog.set_level("INFO")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    progress = ShowProgress(3)
    progress.on_train_begin()
    progress.on_epoch_end(0, LOGS)
    progress.on_train_end()
    assert "training" in terminal.getvalue()
    assert "/3" in terminal.getvalue()
    assert not caplog.records


def test_a_file_gets_lines(monkeypatch, caplog):
    caplog.set_level("INFO")
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    progress = ShowProgress(3)
    progress.on_train_begin()
    progress.on_epoch_end(0, LOGS)
    progress.on_train_end()
    assert "epoch 1 of 3: loss 1.0000, accuracy 0.500, val_loss 1.2500" in caplog.text
    assert not stream.getvalue()
