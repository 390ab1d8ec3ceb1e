"""What benchmarks/fine_tune.py times against each other is the same network, and it learns."""

from pathlib import Path

import numpy as np
import pytest

from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions

OPTIONS = BiLMOptions(
    CharacterCNNOptions(4, ((1, 4), (2, 8), (7, 8)), num_highway=1), LSTMOptions(16, 8, num_layers=2)
)
TEXTS = ["the cat sat on the mat", "a naïve dog", "rain fell", "it rained all night"]
TARGETS = np.array([0, 0, 1, 1], np.int32)


def test_both_have_the_same_loss_after_the_same_steps(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(project / "benchmarks")
    from contestants.our_fine_tuning import OurFineTuning
    from contestants.random_weights import write_random_elmo
    from contestants.tf1_fine_tuning import TF1FineTuning

    weights = write_random_elmo(OPTIONS, tmp_path / "elmo")
    shape = (OPTIONS.num_layers * OPTIONS.dim, 2)
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    graph = TF1FineTuning(weights, kernel, 0.005)
    ours = OurFineTuning(weights, kernel, 0.005, TEXTS, TARGETS, precision="float32", batch_size=4)
    rows = np.arange(4)
    before = graph.loss(TEXTS, TARGETS)
    assert ours.loss(rows) == pytest.approx(before, rel=1e-5)
    for _ in range(5):
        graph.step(TEXTS, TARGETS)
        ours.step(rows)
    assert ours.loss(rows) == pytest.approx(graph.loss(TEXTS, TARGETS), rel=0.02)
    assert ours.loss(rows) < before - 0.1
