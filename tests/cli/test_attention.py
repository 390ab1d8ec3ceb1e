"""A run with attention, from training to prediction; its epochs and later commands need no ELMo."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_run import invoke

from elmo_cli.bilm.frozen import FrozenBiLM
from elmo_cli.workflows.predict import Predictor


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of its own, empty when the run below is trained."""
    directory = tmp_path_factory.mktemp("attention") / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELMO_CLI_CACHE", str(directory))
        yield directory


def train(tiny: Path, output: Path, *arguments: object) -> Any:
    return invoke(
        "train", tiny / "train.csv", "--test", tiny / "test.csv", "--elmo", tiny / "elmo", "-o", output,
        "--epochs", "6", "--batch-size", "8", "--learning-rate", "0.02", "--verbose", *arguments,
    )  # fmt: skip


@pytest.fixture(scope="module")
def attentive(tiny: Path, cache: Path) -> Path:
    """A run trained with attention, and what was said in it as said.txt."""
    result = train(tiny, cache.parent / "run", "--pool", "attention")
    assert result.exit_code == 0, result.output
    (cache.parent / "run" / "said.txt").write_text(result.stderr)
    return cache.parent / "run"


@pytest.fixture
def no_elmo(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing may be embedded."""

    def layers(*_: Any, **__: Any) -> Any:
        raise AssertionError("a text was embedded")

    monkeypatch.setattr(FrozenBiLM, "layers", layers)


def test_it_learns_and_says_what_it_does(attentive: Path) -> None:
    said = (attentive / "said.txt").read_text()
    assert re.search(r"all tokens of 38 distinct texts, up to \d+ tokens each, take", said)
    assert "0 of 38 distinct texts are in the cache" in said
    assert "pooling attention" in (attentive / "MODEL_CARD.md").read_text()
    assert "pool: [attention]" in (attentive / "config.yaml").read_text()
    losses = pd.read_csv(attentive / "history.csv")["loss"]
    assert losses.iloc[-1] < losses.iloc[0]


@pytest.mark.usefixtures("no_elmo")
def test_a_second_run_embeds_nothing_and_is_the_same(tiny: Path, attentive: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path / "run", "--pool", "attention")
    assert result.exit_code == 0, result.output
    assert "38 of 38 distinct texts are in the cache" in result.stderr
    for name in ("metrics.json", "predictions/test.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (attentive / name).read_bytes()


@pytest.mark.usefixtures("no_elmo")
def test_other_choices_find_the_same_tokens_in_the_cache(tiny: Path, attentive: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path / "run", "--pool", "mean,max,attention", "--trainable", "none")
    assert result.exit_code == 0, result.output
    assert "pooling mean and max and attention" in (tmp_path / "run" / "MODEL_CARD.md").read_text()


def test_a_mapped_file_gives_the_same_run(tiny: Path, attentive: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path / "run", "--pool", "attention", "--set", "elmo.memory_bytes=0")
    assert result.exit_code == 0, result.output
    assert "of vectors are in a file, not in memory" in result.stderr
    assert (tmp_path / "run" / "metrics.json").read_bytes() == (attentive / "metrics.json").read_bytes()


@pytest.mark.usefixtures("no_elmo")
def test_eval_gives_the_numbers_of_the_training(tiny: Path, attentive: Path) -> None:
    result = invoke("eval", attentive, tiny / "test.csv", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    trained = json.loads((attentive / "metrics.json").read_text())["test"]
    assert report["accuracy"] == trained["accuracy"]
    assert report["log_loss"] == pytest.approx(trained["log_loss"], abs=1e-6)


def test_predictions_depend_on_the_text_alone(tiny: Path, attentive: Path) -> None:
    texts = [*pd.read_csv(tiny / "test.csv")["text"], "", "soup", "a word " * 300]
    predictor = Predictor(attentive, proba=True, precision="float32")
    columns = ["probability_of_kitchen", "probability_of_sky"]
    together = predictor(pd.DataFrame({"text": texts}))[columns].to_numpy()
    alone = [predictor(pd.DataFrame({"text": [text]}))[columns].to_numpy()[0] for text in texts]
    np.testing.assert_allclose(alone, together, atol=1e-6)
    backwards = predictor(pd.DataFrame({"text": texts[::-1]}))[columns].to_numpy()
    np.testing.assert_allclose(backwards[::-1], together, atol=1e-6)


def test_predict_answers(tiny: Path, attentive: Path, tmp_path: Path) -> None:
    result = invoke("predict", attentive, tiny / "test.csv", "-o", tmp_path / "predicted.csv")
    assert result.exit_code == 0, result.output
    predicted = pd.read_csv(tmp_path / "predicted.csv")
    trained = pd.read_csv(attentive / "predictions" / "test.csv")
    assert list(predicted["predicted"]) == list(trained["predicted"])
    np.testing.assert_allclose(predicted["probability"], trained["probability"], atol=1e-6)
    assert invoke("predict", attentive, "Is there soup?").stdout.strip()
