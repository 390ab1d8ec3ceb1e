"""elmo-train --adapt: the run learns from, and contains, an ELMo that knows its texts."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from elmo_cli.config import ClassifierConfig, DataConfig, ElmoConfig, RunConfig, TrainingConfig
from elmo_cli.errors import ConfigError
from elmo_cli.files import sha256
from elmo_cli.workflows import adapt as workflow
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.predict import Predictor
from elmo_cli.workflows.train import train
from elmo_cli.workflows.training_tables import read_training_tables


def config_for(tiny: Path, elmo: Path) -> RunConfig:
    return RunConfig(
        data=DataConfig(train=str(tiny / "train.csv")),
        elmo=ElmoConfig(str(elmo), adapt=True, adapt_minutes=0.02, precision="float32"),
        classifier=ClassifierConfig(hidden=(4,)),
        training=TrainingConfig(epochs=2),
    )


def train_run(config: RunConfig, path: Path, *, resume: bool = False) -> None:
    with NewRun(path, config, resume=resume) as run:
        train(run, read_training_tables(config))


def test_an_interrupted_adaptation_is_gone_on_with_and_the_run_can_be_moved(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elmo, path = Path(shutil.copytree(tiny / "elmo", tmp_path / "elmo")), tmp_path / "run"
    config = config_for(tiny, elmo)
    pretrain = workflow.pretrain

    def interrupted(*args, **kwargs):
        pretrain(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "pretrain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_run(config, path)
    assert json.loads((path / "run.json").read_text())["status"] == "failed"

    resumed = []
    monkeypatch.setattr(
        workflow, "pretrain", lambda *args, resume: resumed.append(resume) or pretrain(*args, resume=resume)
    )
    train_run(config, path, resume=True)
    assert resumed == [True]
    record = json.loads((path / "run.json").read_text())
    adaptation = record["adaptation"]
    assert adaptation["began_with"] == str(elmo)
    assert adaptation["tokens_seen"] > 0
    assert adaptation["after"]["forward"] <= adaptation["before"]["forward"] * 1.5
    assert (
        f"`{elmo}` adapted to the training texts; held-out perplexity before: "
        in (path / "MODEL_CARD.md").read_text()
    )
    assert not (path / "elmo" / "checkpoint").exists()
    assert "training table of the run" in (path / "elmo" / "MODEL_CARD.md").read_text()

    table = pd.DataFrame({"text": ["Salt the soup.", "Snow fell."]})
    before = Predictor(path, proba=True)(table)
    shutil.rmtree(elmo)  # the run does not need what it began with any more
    path.rename(tmp_path / "moved")
    after = Predictor(tmp_path / "moved", proba=True)(table)
    np.testing.assert_array_equal(after["probability_of_sky"], before["probability_of_sky"])


def test_a_finished_adaptation_is_not_repeated_when_a_run_is_resumed(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, path = config_for(tiny, tiny / "elmo"), tmp_path / "run"
    train_run(config, path)
    weights = sha256(path / "elmo" / "weights.hdf5")
    monkeypatch.setattr(workflow, "pretrain", None)  # calling it would fail
    train_run(replace(config, training=TrainingConfig(epochs=3)), path, resume=True)
    assert sha256(path / "elmo" / "weights.hdf5") == weights
    record = json.loads((path / "run.json").read_text())
    assert (record["status"], record["epochs"]) == ("complete", 3)
    assert record["adaptation"]["tokens_seen"] > 0


def test_what_cannot_be_adapted_is_said_before_anything_is_written(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"Hub module cannot be gone on with"):
        train_run(config_for(tiny, tmp_path / "hub"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
