"""How often a phase of a pre-training measures."""

from pathlib import Path

import pytest

from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.training.early_stopping import EarlyStopping
from elmo_cli.training.stream import Progress
from elmo_cli.workflows.pretraining.config import PretrainConfig
from elmo_cli.workflows.pretraining.corpus import PretrainCorpus
from elmo_cli.workflows.pretraining.model import PretrainModel
from elmo_cli.workflows.pretraining.phase import Phase, plans_of

OPTIONS = BiLMOptions(CharacterCNNOptions(4, ((1, 4),), num_highway=0), LSTMOptions(4, 4, num_layers=1))


def early_stopping(tmp_path: Path, *, num_sentences: int, num_held_out: int, **settings) -> EarlyStopping:
    """That of an adaptation to sentences of four tokens."""
    text, held_out = tmp_path / "text.txt", tmp_path / "held-out.txt"
    text.write_text("one two three .\n" * num_sentences)
    held_out.write_text("one two three .\n" * num_held_out)
    config = PretrainConfig((text,), tmp_path / "elmo", held_out=held_out, **settings)
    corpus, _ = PretrainCorpus.begin(config, tmp_path / "kept")
    model = PretrainModel(config, OPTIONS, corpus, "float32")
    phase = Phase(plans_of(config, adapts=True)[1], 1, model, earlier=Progress())
    assert phase.stopping is not None
    return phase.stopping


@pytest.mark.parametrize(
    ("given", "softmax_alone", "whole_model"),
    [(None, 5e-3, 1e-3), (1e-3, 5e-3, 1e-3), (1e-2, 5e-3, 1e-2), (2e-4, 1e-3, 2e-4)],
)
def test_a_low_rate_slows_the_softmax_down_too(
    given: float | None, softmax_alone: float, whole_model: float
) -> None:
    config = PretrainConfig((), Path("elmo"), init="bundled", learning_rate=given)
    rates = [plan.learning_rate for plan in plans_of(config, adapts=True)]
    assert rates == pytest.approx([softmax_alone, whole_model], rel=1e-12)
    assert [plan.told_rate for plan in plans_of(config, adapts=True)] == pytest.approx(
        [softmax_alone / 5, whole_model]
    )


@pytest.mark.parametrize(
    ("num_sentences", "num_held_out", "every_tokens", "measured"),
    [
        (100, 5, 400, 25),  # as few as elmo-train --adapt may get: after each pass
        (100, 4000, 400, 1000),  # much to measure on does not make it dear
        (10_000, 4000, 40_000, 2000),
        (20_000, 100, 51_200, 500),  # 20 batches of 2560
        (30_000, 4000, 120_000, 6000),
    ],
)
def test_it_measures_at_least_once_in_a_pass_and_cheaply(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    num_sentences: int,
    num_held_out: int,
    every_tokens: int,
    measured: int,
) -> None:
    seen: list[int] = []
    perplexity = PretrainModel.perplexity

    def noting(self, max_tokens=None):
        found = perplexity(self, max_tokens)
        seen.append(found.tokens)
        return found

    monkeypatch.setattr(PretrainModel, "perplexity", noting)
    stopping = early_stopping(tmp_path, num_sentences=num_sentences, num_held_out=num_held_out)
    assert stopping.every_tokens == every_tokens
    stopping.measure()
    # Whole sentences, evenly spread: of what is asked for, no more, and more than half.
    assert measured / 2 < seen[0] <= measured
