"""What commands do with the cache of embeddings, and in which precision they compute."""

import json
import re
from pathlib import Path

import pytest
from tiny_run import invoke


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "embeddings"


def train(tiny: Path, run: Path, *options: str) -> str:
    """Trains for an epoch and returns what was said."""
    tables = [tiny / "train.csv", "--test", tiny / "test.csv"]
    result = invoke("train", *tables, "--elmo", tiny / "elmo", "-o", run, "--epochs", "1", "-v", *options)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_second_run_embeds_nothing_and_is_the_same(tiny, cache, tmp_path):
    first, second = (train(tiny, tmp_path / name) for name in ("first", "second"))
    found = [re.findall(r"(\d+) of (\d+) distinct texts are in the cache", said) for said in (first, second)]
    assert found[0][0][0] == "0"
    assert found[1]
    assert all(cached == texts for cached, texts in found[1])
    predictions = [tmp_path / name / "predictions" / "test.csv" for name in ("first", "second")]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()


def test_all_commands_share_the_cache(tiny, cache, tmp_path):
    train(tiny, tmp_path / "run")
    size = sum(file.stat().st_size for file in cache.iterdir())
    for command in (
        ["eval", tmp_path / "run", tiny / "test.csv"],
        ["predict", tmp_path / "run", tiny / "test.csv"],
    ):
        assert invoke(*command).exit_code == 0
    assert sum(file.stat().st_size for file in cache.iterdir()) == size


def test_without_cache_nothing_is_kept(tiny, cache, tmp_path):
    train(tiny, tmp_path / "run", "--no-cache")
    invoke("predict", tmp_path / "run", "a text", "--no-cache")
    assert not cache.exists()


@pytest.mark.parametrize("command", ["train", "eval", "predict"])
def test_a_size_that_is_none_is_wrong_use(command, tiny, tmp_path):
    result = invoke(
        command, *([] if command == "train" else [tiny / "run"]), tiny / "test.csv", "--cache-bytes", "much"
    )
    assert result.exit_code == 2
    assert "--cache-bytes" in result.output
    assert "much" in result.output


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_precision_is_that_asked_for_and_recorded(precision, tiny, tmp_path):
    train(tiny, tmp_path / "run", "--precision", precision)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["precision"] == precision
