"""A run of ELMo and TF-IDF, from training to prediction."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny_run import invoke

from elmo_cli.workflows.predict import Predictor


def train(tiny: Path, output: Path, *arguments: object) -> Any:
    return invoke(
        "train", tiny / "train.csv", "--test", tiny / "test.csv", "--elmo", tiny / "elmo", "-o", output,
        "--epochs", "2", "--batch-size", "16", "--features", "elmo+tfidf", *arguments,
    )  # fmt: skip


@pytest.fixture(scope="module")
def both(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with both parts, and what was said in it as said.txt."""
    run = tmp_path_factory.mktemp("tfidf") / "run"
    result = train(tiny, run)
    assert result.exit_code == 0, result.output
    (run / "said.txt").write_text(result.stderr)
    return run


def test_the_run_says_what_each_part_counts(both: Path) -> None:
    record = json.loads((both / "run.json").read_text())["tfidf"]
    assert record["ngrams"] > 100
    line = f"ELMo counts {record['shares']['elmo']:.2f}, TF-IDF of {record['ngrams']:,} n-grams"
    for name in ("said.txt", "MODEL_CARD.md", "report.html", "log.txt"):
        assert line in (both / name).read_text(), name
    assert "features: elmo+tfidf" in (both / "config.yaml").read_text()


def test_only_the_training_rows_are_learned_from(tiny: Path, both: Path) -> None:
    tfidf = Predictor(both).tfidf
    assert tfidf is not None
    held_out = set(pd.read_csv(both / "predictions" / "valid.csv")["text"])
    texts = pd.read_csv(tiny / "train.csv")["text"]
    learned, unseen = (
        {
            word
            for text in texts
            if (text in held_out) is side
            for word in re.findall("[a-z]{4,}", text.lower())
        }
        for side in (False, True)
    )
    assert learned <= set(tfidf.tfidf.vocabulary)
    assert unseen - learned
    assert not (unseen - learned) & set(tfidf.tfidf.vocabulary)


def test_eval_and_predict_give_the_numbers_of_the_training(tiny: Path, both: Path, tmp_path: Path) -> None:
    report = json.loads(invoke("eval", both, tiny / "test.csv", "--json").stdout)
    trained = json.loads((both / "metrics.json").read_text())["test"]
    assert report["log_loss"] == pytest.approx(trained["log_loss"], abs=1e-6)
    result = invoke("predict", both, tiny / "test.csv", "--chunk-rows", "3", "-o", tmp_path / "predicted.csv")
    assert result.exit_code == 0, result.output
    predicted, expected = (
        pd.read_csv(path) for path in (tmp_path / "predicted.csv", both / "predictions" / "test.csv")
    )
    assert list(predicted["predicted"]) == list(expected["predicted"])
    np.testing.assert_allclose(predicted["probability"], expected["probability"], atol=1e-6)


def test_words_decide_too(both: Path) -> None:
    predictor = Predictor(both, proba=True)
    texts = pd.DataFrame({"text": ["Heavy rain fell all night.", "", "qwx"]})
    together = predictor(texts)["probability_of_sky"]
    assert together.between(0, 1).all()
    predictor.tfidf = None
    assert together[0] > predictor(texts)["probability_of_sky"][0]


def test_a_run_is_gone_on_with(tiny: Path, both: Path, tmp_path: Path) -> None:
    invoke("train", "--config", both / "config.yaml", "-o", tmp_path / "run", "--epochs", "1")
    result = invoke("train", "--config", both / "config.yaml", "-o", tmp_path / "run", "--resume")
    assert result.exit_code == 0, result.output
    for name in ("predictions/test.csv", "model/tfidf.npz"):
        assert (tmp_path / "run" / name).read_bytes() == (both / name).read_bytes(), name
    refused = invoke("train", "--config", both / "config.yaml", "-o", tmp_path / "run", "--resume",
                     "--features", "elmo")  # fmt: skip
    assert refused.exit_code == 2
    assert "features" in refused.stderr


def test_attention_and_rare_classes(tiny: Path, tmp_path: Path) -> None:
    result = train(tiny, tmp_path / "run", "--pool", "attention", "--class-weight", "balanced")
    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "run" / "model" / "model.json").read_text())["format_version"] == 3


def test_few_rows_are_all_learned_from_once_valid_is_scored(tiny: Path, both: Path) -> None:
    assert json.loads((both / "run.json").read_text())["learned_valid"]
    learned = (
        "After `valid` was scored, the classifier on ELMo's vectors and the TF-IDF part learned from its rows"
    )
    assert learned in (both / "MODEL_CARD.md").read_text()
    held_out = pd.read_csv(both / "predictions" / "valid.csv")
    table = pd.read_csv(tiny / "train.csv").merge(held_out[["text"]], on="text")
    now = Predictor(both, proba=True)(table)
    columns = ["probability_of_kitchen", "probability_of_sky"]
    of_the_label = [now[columns[label == "sky"]][row] for row, label in enumerate(now["label"])]
    before = [
        share if predicted == label else 1 - share
        for predicted, label, share in zip(
            held_out["predicted"], held_out["label"], held_out["probability"], strict=True
        )
    ]
    assert np.mean(of_the_label) > np.mean(before)
