"""elmo-train --adapt: the run learns from, and contains, an ELMo that knows its texts."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny_run import write_csv, write_elmo

from elmo_cli.bilm.perplexity import Perplexity
from elmo_cli.config import ClassifierConfig, DataConfig, ElmoConfig, RunConfig, TrainingConfig
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.files import sha256
from elmo_cli.training.stream import LossError
from elmo_cli.workflows import adapt as workflow
from elmo_cli.workflows.new_run import NewRun
from elmo_cli.workflows.predict import Predictor
from elmo_cli.workflows.pretrain import PretrainConfig, PretrainResult, pretrain
from elmo_cli.workflows.train import train
from elmo_cli.workflows.training_tables import read_training_tables


def config_for(tiny: Path, elmo: Path) -> RunConfig:
    return RunConfig(
        data=DataConfig(train=str(tiny / "train.csv")),
        elmo=ElmoConfig(str(elmo), adapt=True, precision="float32"),
        classifier=ClassifierConfig(hidden=(4,)),
        training=TrainingConfig(epochs=2),
    )


def brief_pretrain(config: PretrainConfig, *, resume: bool) -> PretrainResult:
    """Adapts for a number of tokens, in small steps: how far it comes does not depend on the machine."""
    few = {"minutes": None, "max_tokens": 3_000, "batch_tokens": 100, "learning_rate": 0.01}
    return pretrain(replace(config, **few), resume=resume)


@pytest.fixture(autouse=True)
def _adapt_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "pretrain", brief_pretrain)


def train_run(config: RunConfig, path: Path, *, resume: bool = False) -> None:
    with NewRun(path, config, resume=resume) as run:
        train(run, read_training_tables(config))


def write_patterns(path: Path) -> Path:
    """Writes a table of texts with something to learn: what a drug does is decided by its first word."""
    drugs = ("Aspirin Ibuprofen", "eases lowers", "pain fever", "within after", "hours days")
    hormones = ("Insulin Cortisol", "controls raises", "sugar glucose", "before with", "meals food")
    rows = [
        (" ".join(words), label)
        for label, choices in (("drug", drugs), ("hormone", hormones))
        for words in itertools.product(*(words.split() for words in choices))
    ]
    return write_csv(path, rows)


def test_an_interrupted_adaptation_is_gone_on_with_and_the_run_can_be_moved(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elmo, path = Path(shutil.copytree(tiny / "elmo", tmp_path / "elmo")), tmp_path / "run"
    write_patterns(tmp_path / "train.csv")
    config = config_for(tmp_path, elmo)

    def interrupted(config: PretrainConfig, *, resume: bool) -> None:
        brief_pretrain(config, resume=resume)
        raise KeyboardInterrupt

    monkeypatch.setattr(workflow, "pretrain", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_run(config, path)
    assert json.loads((path / "run.json").read_text())["status"] == "failed"

    resumed = []

    def watched(config: PretrainConfig, *, resume: bool) -> PretrainResult:
        resumed.append(resume)
        return brief_pretrain(config, resume=resume)

    monkeypatch.setattr(workflow, "pretrain", watched)
    train_run(config, path, resume=True)
    assert resumed == [True]
    adaptation = json.loads((path / "run.json").read_text())["adaptation"]
    assert adaptation["began_with"] == str(elmo)
    assert adaptation["tokens_seen"] > 0
    assert Perplexity(**adaptation["after"]).nats < Perplexity(**adaptation["before"]).nats - 0.05
    assert (
        f"`{elmo}` adapted to the training texts; held-out perplexity before: "
        in (path / "MODEL_CARD.md").read_text()
    )
    assert not (path / "elmo" / "checkpoint").exists()
    assert "training table of the run" in (path / "elmo" / "MODEL_CARD.md").read_text()

    table = pd.DataFrame({"text": ["Aspirin eases pain.", "Insulin with food."]})
    before = Predictor(path, proba=True)(table)
    shutil.rmtree(elmo)  # to predict, the run does not need what it began with any more
    path.rename(tmp_path / "moved")
    after = Predictor(tmp_path / "moved", proba=True)(table)
    np.testing.assert_array_equal(after["probability_of_drug"], before["probability_of_drug"])


def test_a_finished_adaptation_is_kept_when_the_run_is_resumed_with_what_it_began_with(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, path = config_for(tiny, tiny / "elmo"), tmp_path / "run"
    train_run(config, path)
    weights, before = sha256(path / "elmo" / "weights.hdf5"), (path / "run.json").read_text()
    adaptation = json.loads(before)["adaptation"]
    # Never worse, but for the half precision in which a softmax is kept.
    assert Perplexity(**adaptation["after"]).nats <= Perplexity(**adaptation["before"]).nats + 1e-3

    monkeypatch.setattr(workflow, "pretrain", None)  # calling it would fail
    with pytest.raises(RunError, match=r"run/elmo was adapted from another ELMo\. .* --force"):
        train_run(config_for(tiny, write_elmo(tmp_path / "other", seed=8)), path, resume=True)
    rows = (tiny / "train.csv").read_text().splitlines()
    (tmp_path / "train.csv").write_text("\n".join(rows[:-1]))
    with pytest.raises(RunError, match=r"run/elmo was adapted to other training texts\. .* --force"):
        train_run(config_for(tmp_path, tiny / "elmo"), path, resume=True)
    assert (path / "run.json").read_text() == before

    train_run(replace(config, training=TrainingConfig(epochs=3)), path, resume=True)
    assert sha256(path / "elmo" / "weights.hdf5") == weights
    record = json.loads((path / "run.json").read_text())
    assert (record["status"], record["epochs"]) == ("complete", 3)
    assert record["adaptation"] == adaptation


def test_texts_too_much_alike_to_adapt_to_are_said_with_the_way_out(tiny: Path, tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", [("It rains.", label) for label in ("a", "b") * 6])
    with pytest.raises(DataError, match=r"train\.csv: its texts .*of \d+ rows none .*leave out --adapt\."):
        train_run(config_for(tmp_path, tiny / "elmo"), tmp_path / "run")


def test_a_loss_that_is_no_number_is_said_in_the_words_of_elmo_train(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverging(config: PretrainConfig, *, resume: bool) -> PretrainResult:
        raise LossError("Begin again with a --learning-rate below 0.001.")

    monkeypatch.setattr(workflow, "pretrain", diverging)
    with pytest.raises(ConfigError, match=r"Adapting .*elmo failed.*Leave out --adapt, or adapt it with"):
        train_run(config_for(tiny, tiny / "elmo"), tmp_path / "run")


def test_what_cannot_be_adapted_is_said_before_anything_is_written(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(ConfigError, match=r"Hub module cannot be gone on with"):
        train_run(config_for(tiny, tmp_path / "hub"), tmp_path / "run")
    assert not (tmp_path / "run").exists()
