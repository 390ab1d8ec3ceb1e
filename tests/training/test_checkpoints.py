"""A training that is killed goes on as if nothing had happened; a checkpoint of another one is refused."""

import json
import logging
import os
import signal

import numpy as np
import pytest
from tiny_training import AtEpoch, in_another_process, interrupt, model, rows, train

from elmo_cli.config import TrainingConfig
from elmo_cli.errors import ConfigError, RunError
from elmo_cli.training import checkpoints
from elmo_cli.training.arrays import LabelledArrays
from elmo_cli.training.checkpoints import Checkpoints
from elmo_cli.training.loop import fit

CONFIG = {"epochs": 6, "learning_rate": 0.05, "batch_size": 8}
FILE = "last_and_best.npz"


@pytest.fixture
def every_epoch(monkeypatch):
    """Writes at the end of each epoch, however short."""
    monkeypatch.setattr(checkpoints, "LEAST_PAUSE_S", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_SHARE", float("inf"))


def saving(directory, identity="data: a\nlearning_rate: 0.05", *, resume=False):
    return Checkpoints(directory, identity=identity, resume=resume)


def resume(directory, **config):
    """Goes on with a model that began with other weights and other random numbers."""
    classifier = model(seed=99)
    settings = TrainingConfig(**(CONFIG | config))
    stored = saving(directory, resume=True)
    history = fit(classifier, rows(50), rows(20, seed=1), settings, seed=7, checkpoints=stored)
    return classifier, history


def without_seconds(history):
    return [{**row, "seconds": 0} for row in history.rows()], history.best_epoch, history.stopped_early


def assert_same(one, other):
    """Asserts that models and histories are equal to the last bit."""
    # The last state of the random numbers too.
    for mine, yours in zip(one[0].variables, other[0].variables, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(yours))
    assert without_seconds(one[1]) == without_seconds(other[1])


@pytest.fixture(scope="module")
def whole():
    """A training that nothing disturbs and that saves nothing."""
    return train(**CONFIG)


def test_saving_changes_nothing(tmp_path, every_epoch, whole):
    assert_same(train(**CONFIG, checkpoints=saving(tmp_path)), whole)


@pytest.mark.parametrize("begin", [False, True])
def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path, every_epoch, whole, begin):
    stop = AtEpoch(3, interrupt, begin=begin)
    _, history = train(**CONFIG, callbacks=[stop], checkpoints=saving(tmp_path))
    assert history.interrupted
    assert_same(resume(tmp_path), whole)


def test_what_was_not_written_yet_is_written_at_the_end(tmp_path):
    """Epochs are far shorter here than the pause between two writes."""
    train(**CONFIG, callbacks=[AtEpoch(4, interrupt, begin=True)], checkpoints=saving(tmp_path))
    with np.load(tmp_path / FILE) as file:
        assert len(json.loads(file["state"].tobytes())["epochs"]) == 4


KILLED = """
import os, signal
from pathlib import Path
from tiny_training import AtEpoch, train
from elmo_cli.training import checkpoints, loop
checkpoints.LEAST_PAUSE_S, checkpoints.MOST_SHARE = 0.0, float("inf")
def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
{setup}
stored = checkpoints.Checkpoints(Path("checkpoints"), identity="data: a\\nlearning_rate: 0.05")
train(epochs=6, learning_rate=0.05, batch_size=8, callbacks=[AtEpoch(3, die)], checkpoints=stored)
"""
WHILE_MOVING = """
moves = []
def move(beside, target, replace=os.replace):
    moves.append(beside)
    die() if len(moves) == 3 else replace(beside, target)
os.replace = move
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    ("setup", "saved"), [("", 3), (WHILE_MOVING, 2)], ids=["after an epoch", "while writing"]
)
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path, caplog, whole, setup, saved):
    caplog.set_level(logging.INFO)
    killed = in_another_process(KILLED.format(setup=setup), tmp_path)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert_same(resume(tmp_path / "checkpoints"), whole)
    assert f"Going on after epoch {saved}," in caplog.text
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [FILE]


@pytest.mark.parametrize("config", [{}, {"patience": 1, "learning_rate": 2.0, "epochs": 30}])
def test_a_finished_training_is_not_trained_further(tmp_path, config):
    """Someone killed it before the caller had saved the model."""
    finished = train(**(CONFIG | config), checkpoints=saving(tmp_path))
    assert finished[1].stopped_early == bool(config)
    again = resume(tmp_path, **config)
    for mine, yours in zip(finished[0].get_weights(), again[0].get_weights(), strict=True):
        np.testing.assert_array_equal(mine, yours)
    assert finished[1] == again[1]


def test_more_epochs_can_be_asked_for(tmp_path, whole):
    train(**(CONFIG | {"epochs": 2}), checkpoints=saving(tmp_path))
    assert_same(resume(tmp_path), whole)


def test_patience_goes_on_counting(tmp_path, every_epoch):
    """The second epoch is the best; it is spoilt after, and patience of 3 ends training after the fifth."""

    def spoil(classifier):
        classifier.set_weights([-50 * weight for weight in classifier.get_weights()])

    patient = CONFIG | {"epochs": 30, "patience": 3}
    expected = train(**patient, callbacks=[AtEpoch(1, spoil)])
    assert (expected[1].best_epoch, len(expected[1].epochs), expected[1].stopped_early) == (2, 5, True)
    stops = [AtEpoch(1, spoil), AtEpoch(3, interrupt, begin=True)]
    train(**patient, callbacks=stops, checkpoints=saving(tmp_path))
    assert_same(resume(tmp_path, **patient), expected)


def test_a_loss_that_is_no_number_is_not_saved(tmp_path, every_epoch, whole):
    def spoil(classifier):
        classifier.set_weights([np.nan * weight for weight in classifier.get_weights()])

    with pytest.raises(ConfigError, match="epoch 3"):
        train(**CONFIG, callbacks=[AtEpoch(2, spoil, begin=True)], checkpoints=saving(tmp_path))
    assert_same(resume(tmp_path), whole)


def test_with_nothing_there_it_begins_and_says_so(tmp_path, caplog, whole):
    caplog.set_level(logging.INFO)
    begun = train(**CONFIG, checkpoints=saving(tmp_path / "none", resume=True))
    assert_same(begun, whole)
    assert f"There is no checkpoint in {tmp_path / 'none'}: training from the beginning" in caplog.text


def test_a_new_training_removes_the_old_checkpoint(tmp_path):
    train(**CONFIG, checkpoints=saving(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        train(**CONFIG, callbacks=[AtEpoch(0, interrupt, begin=True)], checkpoints=saving(tmp_path))
    assert not list(tmp_path.iterdir())


def test_another_training_is_refused_naming_what_differs(tmp_path):
    train(**CONFIG, checkpoints=saving(tmp_path))
    other = saving(tmp_path, "data: a\nlearning_rate: 0.1", resume=True)
    with pytest.raises(
        RunError, match=r'npz is of another training: .*"learning_rate: 0.05".*"learning_rate: 0.1"'
    ):
        train(**CONFIG, checkpoints=other)


def test_another_model_is_refused(tmp_path):
    train(**CONFIG, checkpoints=saving(tmp_path))
    wider = LabelledArrays(np.ones((4, 10), np.float32), np.arange(4, dtype=np.int32) % 3)
    stored = saving(tmp_path, resume=True)
    with pytest.raises(RunError, match="other shapes"):
        fit(model(), wider, wider, TrainingConfig(**CONFIG), seed=7, checkpoints=stored)


@pytest.mark.parametrize("content", [b"", b"not a zip file", None], ids=["empty", "garbage", "cut"])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    train(**CONFIG, checkpoints=saving(tmp_path))
    full = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(full[: len(full) // 2] if content is None else content)
    with pytest.raises(RunError, match=r"npz cannot be read .*from the beginning"):
        resume(tmp_path)


def test_a_flipped_bit_is_found(tmp_path):
    train(**CONFIG, checkpoints=saving(tmp_path))
    content = bytearray((tmp_path / FILE).read_bytes())
    content[content.find(b"NUMPY") + 200] ^= 1
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(RunError, match="cannot be read"):
        resume(tmp_path)


def test_a_later_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "FORMAT_VERSION", 2)
    train(**CONFIG, checkpoints=saving(tmp_path))
    monkeypatch.undo()
    with pytest.raises(RunError, match="format version 2; this elmo-cli reads up to 1"):
        resume(tmp_path)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    for stored in (saving(tmp_path / "file"), saving(tmp_path / "file", resume=True)):
        with pytest.raises(RunError, match=r"cannot be (removed|written)"):
            train(**CONFIG, checkpoints=stored)
