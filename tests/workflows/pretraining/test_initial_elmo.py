"""Domain adaptation: an ELMo goes on with other text, gets better there, and never worse."""

import itertools
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hub_module import write_hub_module

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.bilm.weights import read_weights, write_weights
from elmo_cli.elmo.source import resolve
from elmo_cli.errors import ConfigError, RunError, SourceError
from elmo_cli.training.stream import LossError, read_facts
from elmo_cli.workflows.pretrain import PretrainConfig, pretrain
from elmo_cli.workflows.pretraining.corpus import PretrainCorpus
from elmo_cli.workflows.pretraining.initial_elmo import InitialElmo
from elmo_cli.workflows.pretraining.model import PretrainModel
from elmo_cli.workflows.pretraining.phase import Phase

OPTIONS = BiLMOptions(
    CharacterCNNOptions(4, ((1, 8), (2, 8), (3, 16)), num_highway=1), LSTMOptions(32, 16, num_layers=1)
)


def sentences(*choices: str) -> list[str]:
    """All ways to choose one word of each group; of one length."""
    return [" ".join(words) for words in itertools.product(*(words.split() for words in choices))]


HOME = sentences("The Our", "cat dog girl farmer", "chases likes sees", "a the", "mouse ball book", ".")
# What a drug does is decided by its first word, so that there is something to learn.
CLINIC = sentences("Aspirin Ibuprofen", "eases lowers", "pain fever", "within after", "hours days", ".")
CLINIC += sentences("Insulin Metformin", "controls lowers", "sugar glucose", "before with", "meals food", ".")


def write(path: Path, lines: list[str], seed: int, number: int) -> Path:
    chosen = np.random.default_rng(seed).choice(lines, size=number)
    path.write_text("\n".join(chosen) + "\n")
    return path


def config_for(folder: Path, text: str, output: Path, **changes) -> PretrainConfig:
    config = PretrainConfig(
        (folder / f"{text}.txt",),
        output,
        held_out=folder / f"{text}-held-out.txt",
        size=str(folder / "options.json"),
        minutes=None,
        max_tokens=9_000,
        batch_tokens=100,
        num_negatives=20,
        learning_rate=0.02,
        precision="float32",
        held_out_tokens=1000,
        checkpoint_minutes=1e9,
        lower_share=0.0,
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of two domains, and an ELMo of one of them in general/."""
    folder = tmp_path_factory.mktemp("adaptation")
    for name, lines in (("home", HOME), ("clinic", CLINIC)):
        write(folder / f"{name}.txt", lines, 1, 300)
        write(folder / f"{name}-held-out.txt", lines, 2, 15)
    (folder / "options.json").write_text(OPTIONS.to_json())
    pretrain(config_for(folder, "home", folder / "general"))
    (folder / "general" / "LICENSE").write_text("Ours.\n")
    return folder


def adaptation(folder: Path, output: Path, **changes) -> PretrainConfig:
    settings = {"init": str(folder / "general"), "size": None, "learning_rate": 0.01, **changes}
    return config_for(folder, "clinic", output, **settings)


@pytest.fixture(scope="module")
def adapted(folder: Path):
    output = folder / "adapted"
    return output, pretrain(adaptation(folder, output))


def weights_of(directory: Path) -> list[np.ndarray]:
    bilm = BiLM(BiLMOptions.from_json(directory / "options.json"))
    read_weights(bilm, directory / "weights.hdf5")
    return bilm.get_weights()


def test_adaptation_lowers_held_out_perplexity(adapted, folder: Path) -> None:
    output, result = adapted
    # The softmax was learned for the given weights first, so that the two can be compared.
    assert result.before.nats < np.log(12)
    assert result.perplexity.nats < result.before.nats - 0.05
    assert result.perplexity.tokens == result.before.tokens
    assert BiLMOptions.from_json(output / "options.json") == OPTIONS
    changed = [
        np.abs(one - other).max()
        for one, other in zip(weights_of(output), weights_of(folder / "general"), strict=True)
    ]
    assert min(changed[4:]) > 0  # everything learns but for the characters that never occur
    card = (output / "MODEL_CARD.md").read_text()
    assert f"fingerprint `{resolve(str(folder / 'general')).fingerprint}`" in card
    assert f"{result.before.forward:.1f} forward, {result.before.backward:.1f} backward, with the" in card
    assert "a part of the gain is the softmax's" in card
    assert "| weights chosen | on the text that perplexity is given for" in card
    for point in ("softmax alone", "as given", "whole model", "at the end"):
        assert f"| {point} |" in card
    assert (folder / "general" / "MODEL_CARD.md").read_text().strip() in card
    assert (output / "LICENSE").read_text() == "Ours.\n"


def test_an_interrupted_adaptation_goes_on_and_ends_the_same(
    adapted, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = adaptation(folder, tmp_path / "elmo")
    next_batch = Phase.next_batch
    for number, stop in ((0, 7), (1, 12)):

        def interrupted(self, progress, number=number, stop=stop):
            if (self.number, progress.steps) == (number, stop):
                raise KeyboardInterrupt
            return next_batch(self, progress)

        monkeypatch.setattr(Phase, "next_batch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(config, resume=number > 0)
        facts = read_facts(tmp_path / "elmo" / "checkpoint" / "state.npz")
        assert (facts["phase"], facts["progress"]["steps"]) == (number, stop)
    monkeypatch.undo()
    result = pretrain(config, resume=True)
    assert result.before == adapted[1].before
    assert result.perplexity == adapted[1].perplexity
    for one, other in zip(weights_of(tmp_path / "elmo"), weights_of(adapted[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_training_ends_before_it_overfits_and_the_best_weights_are_kept(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measures: list[float] = []
    perplexity = PretrainModel.perplexity

    def noting(self, max_tokens=None):
        found = perplexity(self, max_tokens)
        measures.append(found.nats)
        return found

    monkeypatch.setattr(PretrainModel, "perplexity", noting)
    write(tmp_path / "few.txt", CLINIC, 3, 12)  # learned by heart at once
    few = tmp_path / "few.txt"
    config = adaptation(folder, tmp_path / "elmo", corpus=(few,), max_tokens=400_000, batch_tokens=14)
    result = pretrain(config)
    assert result.progress.tokens < 100 * len(few.read_text().split())
    assert result.perplexity.nats == pytest.approx(min(measures), abs=1e-6)
    assert max(measures[measures.index(min(measures)) :]) > min(measures)  # it began to overfit
    assert result.perplexity.nats <= result.before.nats


@pytest.mark.parametrize(
    ("stop", "message"),
    [
        ((0, 2), r'Phase "softmax alone": .* after 2 steps\. Begin .* --learning-rate below 0\.001\.$'),
        ((1, 3), r'Phase "whole model": .* after 3 steps\. .* --learning-rate below 0\.01 and another -o\.$'),
    ],
)
def test_a_loss_that_is_no_number_is_said_with_phase_and_way_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: tuple[int, int], message: str
) -> None:
    next_batch = Phase.next_batch

    def diverging(self, progress):
        if (self.number, progress.steps) == stop:
            bias = self.model.language_model.softmax_bias
            bias.assign(np.nan * bias)
        return next_batch(self, progress)

    monkeypatch.setattr(Phase, "next_batch", diverging)
    with pytest.raises(LossError, match=message):
        pretrain(adaptation(folder, tmp_path / "elmo"))
    assert (tmp_path / "elmo").exists() == (stop[0] > 0)


def test_what_makes_it_worse_is_thrown_away(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = adaptation(folder, tmp_path / "elmo", learning_rate=100.0, max_tokens=6000)
    with caplog.at_level(logging.INFO):
        result = pretrain(config)
    assert "Nothing better was found" in caplog.text
    assert result.perplexity.nats == pytest.approx(result.before.nats, abs=1e-3)  # in half precision
    for one, other in zip(weights_of(tmp_path / "elmo"), weights_of(folder / "general"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_going_back_brings_back_the_softmax_too(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    perplexity, flattery = PretrainModel.perplexity, itertools.count(1)

    def flattering(self, max_tokens=None):
        """The part that early stopping measures gets better all the time; the whole does not."""
        found = perplexity(self, max_tokens)
        return found if max_tokens is None else replace(found, forward=1 / next(flattery), backward=1.0)

    monkeypatch.setattr(PretrainModel, "perplexity", flattering)
    config = adaptation(folder, tmp_path / "elmo", learning_rate=100.0, max_tokens=4000)
    with caplog.at_level(logging.INFO):
        result = pretrain(config)
    assert "Nothing better was found" in caplog.text
    assert result.perplexity.nats == pytest.approx(result.before.nats, abs=1e-3)

    written = InitialElmo.find(str(tmp_path / "elmo"))
    corpus, _ = PretrainCorpus.begin(config, tmp_path / "again")
    model = PretrainModel(config, OPTIONS, corpus, "float32")
    written.read_network(model)
    written.softmax.assign_to(model.language_model)
    assert model.perplexity().nats == pytest.approx(result.before.nats, abs=1e-3)


@pytest.mark.parametrize(("text", "kept_is_better"), [("home", True), ("clinic", False)])
def test_a_first_softmax_is_the_better_one_of_what_was_kept_and_what_is_made(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, kept_is_better: bool
) -> None:
    general = InitialElmo.find(str(folder / "general"))
    config = config_for(folder, text, tmp_path)
    corpus, counts = PretrainCorpus.begin(config, tmp_path)
    model = PretrainModel(config, OPTIONS, corpus, "float32")
    with caplog.at_level(logging.INFO):
        general.begin(model, counts)
    assert ("softmax is the one that was kept" in caplog.text) == kept_is_better
    best = model.perplexity().nats
    # Far better than the words' frequencies alone, without a single step.
    frequencies = np.array(
        [1, *(counts[word] + counts[word.title()] for word in corpus.vocabulary.words[1:])]
    )
    model.language_model.softmax_kernel.assign(0 * model.language_model.softmax_kernel)
    model.language_model.softmax_bias.assign(np.log(frequencies + 1.0))
    assert best < model.perplexity().nats - 0.2
    replace(general, softmax=None).begin(model, counts)
    assert (model.perplexity().nats > best + 0.01) == kept_is_better


@pytest.mark.parametrize("marks", [True, False])
def test_a_hub_module_is_gone_on_with_where_our_network_can(
    folder: Path, tmp_path: Path, marks: bool
) -> None:
    bilm = BiLM(replace(OPTIONS, sentence_marks=marks))
    read_weights(bilm, folder / "general" / "weights.hdf5")
    handle = str(write_hub_module(bilm, tmp_path / "hub"))
    if not marks:
        with pytest.raises(ConfigError, match=r"hub: this ELMo reads no marks"):
            InitialElmo.find(handle)
        return
    initial = InitialElmo.find(handle)
    assert (initial.options, initial.softmax) == (OPTIONS, None)
    assert initial.source.fingerprint == resolve(handle).fingerprint
    for one, other in zip(weights_of(initial.source.weights_path.parent), bilm.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_cannot_be_gone_on_with_is_refused(folder: Path, tmp_path: Path) -> None:
    config = adaptation(folder, tmp_path / "elmo")
    with pytest.raises(ConfigError, match=r"--size mini is not the size of --init"):
        pretrain(replace(config, size="mini"))
    with pytest.raises(SourceError, match="there is no such file or directory"):
        pretrain(replace(config, init=str(tmp_path / "absent")))
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(
        ConfigError, match=r"TensorFlow Hub module cannot be gone on with\. Give a native ELMo"
    ):
        pretrain(replace(config, init=str(tmp_path / "hub")))
    assert not (tmp_path / "elmo").exists()


def test_another_text_to_measure_on_does_not_go_on(adapted, folder: Path) -> None:
    config = adaptation(folder, adapted[0])
    with pytest.raises(RunError, match=r"chosen on another text to measure on\. Go on with the --held-out"):
        pretrain(replace(config, held_out=folder / "home-held-out.txt"), resume=True)
    with pytest.raises(RunError, match=r"setting held_out_tokens \(of Python.*it was 1000, it is 50"):
        pretrain(replace(config, held_out_tokens=50), resume=True)


def test_other_weights_do_not_go_on(adapted, folder: Path, tmp_path: Path) -> None:
    bilm = BiLM(OPTIONS)
    bilm.build()
    (tmp_path / "options.json").write_text(OPTIONS.to_json())
    write_weights(bilm, tmp_path / "weights.hdf5")
    config = adaptation(folder, adapted[0], init=str(tmp_path))
    with pytest.raises(RunError, match=r"ELMo to begin with: it was one with the fingerprint [0-9a-f]{64}"):
        pretrain(config, resume=True)
