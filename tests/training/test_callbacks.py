"""Progress on a terminal and elsewhere; the rest is tested with the loop."""

import io
import sys

from elmo_cli.training.callbacks import ShowProgress

LOGS = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.25, "val_accuracy": 0.5}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


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
