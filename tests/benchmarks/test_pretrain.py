"""What benchmarks/pretrain.py times against each other is the same network, and it trains."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.bilm.vocabulary import Vocabulary

OPTIONS = BiLMOptions(
    CharacterCNNOptions(4, ((1, 4), (2, 8), (7, 8)), num_highway=1), LSTMOptions(16, 8, num_layers=2)
)
SENTENCES = [["the", "cat", "sat", "on", "the", "mat"], ["a", "naïve", "dog", "did", "not", "sit"]]


@pytest.fixture(scope="module")
def both(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project / "benchmarks")
        from contestants.our_pretraining import OurPretraining
        from contestants.random_weights import write_random_elmo
        from contestants.tf1_pretraining import TF1Pretraining

        weights = write_random_elmo(OPTIONS, tmp_path_factory.mktemp("weights") / "elmo")
        counts = {word: 1 for tokens in SENTENCES for word in tokens}
        vocabulary = Vocabulary.build(counts, 30)
        kernel = np.random.default_rng(1).normal(size=(len(vocabulary), 8)).astype(np.float32)
        graph = TF1Pretraining(weights, kernel, np.zeros(len(vocabulary), np.float32), 5)
        return vocabulary, graph, OurPretraining(weights, kernel, vocabulary, 5, "float32", "muon")


def test_both_have_the_same_loss_and_lower_it(both: tuple[Vocabulary, object, object]) -> None:
    vocabulary, graph, ours = both
    texts = [" ".join(tokens) for tokens in SENTENCES]
    targets = np.asarray([vocabulary.ids(tokens) for tokens in SENTENCES], np.int32)
    before = ours.loss(SENTENCES)
    np.testing.assert_allclose(graph.loss(texts, targets), before, rtol=1e-5)
    for _ in range(20):
        ours.step(SENTENCES)
        graph.step(texts, targets)
    assert ours.loss(SENTENCES).mean() < before.mean() - 0.1
    assert graph.loss(texts, targets).mean() < before.mean() - 0.1


def test_recipes_are_settings_of_the_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(project / "benchmarks")
    module = importlib.import_module("pretrain")
    from elmo_cli.workflows.pretraining.config import PretrainConfig

    default = PretrainConfig((Path("a"),), Path("b"))
    changed = [PretrainConfig((Path("a"),), Path("b"), **settings) for settings in module.RECIPES.values()]
    assert changed[0] == default
    assert default not in changed[1:]
