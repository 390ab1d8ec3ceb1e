"""elmo-pretrain's workflow on a few hundred sentences."""

import errno
import logging
import os
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.bilm.held_out import HeldOut
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.sizes import SIZES
from elmo_cli.bilm.weights import read_weights
from elmo_cli.config import DataConfig
from elmo_cli.errors import ConfigError, DataError, RunError, SourceError
from elmo_cli.files import lock
from elmo_cli.training.stream import read_facts, save_checkpoint
from elmo_cli.workflows.pretrain import PretrainConfig, pretrain
from elmo_cli.workflows.pretraining import checkpoint, corpus
from elmo_cli.workflows.pretraining.model import PretrainModel
from elmo_cli.workflows.pretraining.phase import Phase
from elmo_cli.workflows.pretraining.text import TextFile


def sentences(seed: int, number: int) -> str:
    """Small talk with rules: who does what with what, and where."""
    random = np.random.default_rng(seed)
    doers = {"cat": ("chases", "mouse"), "farmer": ("ploughs", "field"), "girl": ("reads", "book")}
    lines = []
    for _ in range(number):
        doer = random.choice(list(doers))
        verb, what = doers[doer]
        where = random.choice(["in the garden", "at home", "near the old bridge"])
        line = f"The {random.choice(['small', 'happy', 'tired'])} {doer} {verb} a {what} {where} ."
        lines.append(line if random.random() < 0.8 else f"{line} What a day , isn't it ?")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "train.txt").write_text(sentences(1, 400))
    (folder / "held_out.txt").write_text(sentences(2, 40))
    return folder


def config_for(texts: Path, output: Path, **changes) -> PretrainConfig:
    config = PretrainConfig(
        (texts / "train.txt",),
        output,
        held_out=texts / "held_out.txt",
        size="tiny",
        minutes=None,
        max_tokens=12_000,
        batch_tokens=200,
        num_negatives=20,
        learning_rate=0.02,
        precision="float32",
        held_out_tokens=100,
        checkpoint_minutes=1e9,
    )
    return replace(config, **changes)


@pytest.fixture(scope="module")
def trained(texts: Path, tmp_path_factory: pytest.TempPathFactory):
    output = tmp_path_factory.mktemp("runs") / "elmo"
    return output, pretrain(config_for(texts, output), command="elmo-pretrain the command")


def test_the_model_learns(trained) -> None:
    _, result = trained
    # The corpus knows about 30 words; one that has learnt nothing has a perplexity of about that.
    assert result.perplexity.forward < 6
    assert result.perplexity.backward < 6
    assert result.perplexity.unknown_share == 0
    assert result.before is None


def test_what_is_written_is_an_elmo(trained) -> None:
    output, _ = trained
    options = BiLMOptions.from_json(output / "options.json")
    assert options == SIZES["tiny"]
    bilm = BiLM(options)
    read_weights(bilm, output / "weights.hdf5")
    layers = bilm(*sentence_characters(tf.constant(["The cat reads a book ."]), 50, 4))
    assert layers.shape == (1, 3, 6, 64)
    assert np.isfinite(layers).all()
    words = (output / "vocab.txt").read_text().splitlines()
    assert words[:3] == ["<S>", "</S>", "<UNK>"]
    assert set(words) > {"the", "isn't", "farmer"}


def test_the_card_says_what_it_is(trained, texts: Path) -> None:
    output, result = trained
    num_tokens = len((texts / "train.txt").read_text().split())
    num_bytes = (output / "weights.hdf5").stat().st_size
    card = (output / "MODEL_CARD.md").read_text()
    for part in (
        "2 x LSTM 128, projection 32",
        "3 x 64",
        "## Sources and licences",
        f"- train.txt: {num_tokens:,} tokens",
        f"{num_bytes:,} bytes (",
        "held_out.txt",
        f"{result.perplexity.forward:.1f} forward, {result.perplexity.backward:.1f} backward",
        "float32, 13",
        "    elmo-pretrain the command",
        "- max_tokens: 12000",
        "lower-cased",
        "| at the end |",
    ):
        assert part in card


def weights_of(output: Path) -> list[np.ndarray]:
    bilm = BiLM(BiLMOptions.from_json(output / "options.json"))
    read_weights(bilm, output / "weights.hdf5")
    return bilm.get_weights()


def test_an_interrupted_run_goes_on_with_the_next_batch_and_ends_the_same(
    trained, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    output = tmp_path / "elmo"
    config = config_for(texts, output)
    next_batch = Phase.next_batch

    def interrupted(self, progress):
        if progress.steps == 15:
            raise KeyboardInterrupt
        return next_batch(self, progress)

    monkeypatch.setattr(Phase, "next_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pretrain(config)
    monkeypatch.undo()
    assert "go on with --resume" in caplog.text
    state = read_facts(output / "checkpoint" / "state.npz")
    assert state["progress"]["steps"] == 15
    assert (output / "weights.hdf5").is_file()
    assert not (output / "MODEL_CARD.md").exists()

    with caplog.at_level(logging.INFO):
        pretrain(config, resume=True)
    assert "Going on after" in caplog.text
    # What was measured after the checkpoint was saved is in the log, too.
    assert (output / "MODEL_CARD.md").read_text().count("| whole model |") == 2
    for one, other in zip(weights_of(output), weights_of(trained[0]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_finished_run_can_be_given_more_time(trained, texts: Path) -> None:
    output, before = trained
    result = pretrain(config_for(texts, output, max_tokens=15_000), resume=True)
    state = read_facts(output / "checkpoint" / "state.npz")
    assert 15_000 <= state["progress"]["tokens"] < 15_800
    assert state["place"]["passes"] >= 2
    assert result.perplexity.forward < before.perplexity.forward * 1.2


def test_a_training_goes_on_with_its_budget_where_none_is_given(
    texts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = config_for(texts, tmp_path, max_tokens=300)
    pretrain(config)
    pretrain(replace(config, max_tokens=700), resume=True)  # what was told last
    path = tmp_path / "checkpoint" / "state.npz"
    facts = read_facts(path)
    # As after a kill.
    with np.load(path) as saved:
        variables = [keras.Variable(saved[name]) for name in saved.files if name != "facts"]
    save_checkpoint(path, variables, facts | {"max_tokens": 1200, "minutes": 90.5})
    with caplog.at_level(logging.INFO):
        result = pretrain(replace(config, max_tokens=None), resume=True)
    assert "Its budget stays as it was: --minutes 90.5 --tokens 1200." in caplog.text
    assert "all of its budget" not in caplog.text
    assert 1200 <= result.progress.tokens < 2000
    facts = read_facts(path)
    assert (facts["minutes"], facts["max_tokens"]) == (90.5, 1200)
    with caplog.at_level(logging.INFO):
        pretrain(replace(config, max_tokens=None), resume=True)
    assert "That is all of its budget; to go on learning, give it more." in caplog.text

    old = {name: fact for name, fact in facts.items() if name not in ("minutes", "max_tokens")}
    save_checkpoint(path, variables, old)
    with pytest.raises(ConfigError, match=r"state\.npz does not know how long.*--minutes or --tokens"):
        pretrain(replace(config, max_tokens=None), resume=True)
    assert pretrain(replace(config, max_tokens=1600), resume=True).progress.tokens >= 1600


def test_a_checkpoint_is_one_file_that_is_moved_in_one_step(trained) -> None:
    names = {path.name for path in (trained[0] / "checkpoint").iterdir()}
    assert names == {"state.npz", "vocab.txt", "lock"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 14}, "--seed: it was 13, it is 14"),
        ({"batch_tokens": 400}, "--batch-tokens: it was 200, it is 400"),
        ({"size": "mini"}, "--size: it was tiny, it is mini"),
        ({"precision": "bfloat16"}, "--precision: it was float32, it is bfloat16"),
        ({"cased": True}, "--cased: it was not given, it is given"),
        ({"cased": False}, "--cased: it was not given, it is --lower-cased"),
        ({"corpus": ("held_out.txt",)}, r"text file 1: it was train\.txt, \d+ bytes.*it is held_out\.txt"),
        ({"corpus": ("train.txt", "held_out.txt")}, "number of text files: it was 1, it is 2"),
    ],
)
def test_another_text_or_other_settings_do_not_go_on(trained, texts: Path, changes, message: str) -> None:
    before = (trained[0] / "checkpoint" / "state.npz").read_bytes()
    if "corpus" in changes:
        changes = {"corpus": tuple(texts / name for name in changes["corpus"])}
    with pytest.raises(RunError, match=message):
        pretrain(config_for(texts, trained[0], **changes), resume=True)
    assert (trained[0] / "checkpoint" / "state.npz").read_bytes() == before


def test_a_text_with_other_content_does_not_go_on(trained, texts: Path, tmp_path: Path) -> None:
    text = (texts / "train.txt").read_text()
    (tmp_path / "train.txt").write_text(text[::-1])
    with pytest.raises(RunError, match=r"text file 1: .*SHA-256"):
        pretrain(config_for(texts, trained[0], corpus=(tmp_path / "train.txt",)), resume=True)


def test_large_texts_are_known_by_name_and_size(trained, texts: Path, monkeypatch) -> None:
    monkeypatch.setattr(checkpoint, "_MOST_BYTES_HASHED", 100)
    size = (texts / "train.txt").stat().st_size
    path = texts / "train.txt"
    identity = checkpoint.identity_of(
        config_for(texts, trained[0]), SIZES["tiny"], "float32", [TextFile("train", path, path)], None
    )
    assert identity["text file 1"] == f"train.txt, {size} bytes"


def test_two_processes_do_not_train_into_one_directory(trained, texts: Path, tmp_path: Path) -> None:
    with lock(trained[0] / "checkpoint" / "lock"), pytest.raises(RunError, match="another process trains"):
        pretrain(config_for(texts, trained[0]), resume=True)
    with (
        lock(tmp_path / "elmo" / "checkpoint" / "lock"),
        pytest.raises(RunError, match="another process trains there"),
    ):
        pretrain(config_for(texts, tmp_path / "elmo"))


def test_a_training_killed_before_its_first_checkpoint_can_begin_anew(texts: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    for name in ("lock", "vocab.txt", ".tmp-1-state.npz"):
        (checkpoint / name).write_text("old")
    pretrain(config_for(texts, tmp_path, max_tokens=300))
    assert "farmer" in (tmp_path / "vocab.txt").read_text()


def test_a_checkpoint_that_is_no_such_thing_is_refused(texts: Path, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint" / "state.npz"
    path.parent.mkdir()
    config = config_for(texts, tmp_path)
    for facts, message in (
        ({"format": 1}, r"another version of elmo-cli \(format 1, expected 2\)"),
        ({"format": 2, "place": {}}, "not the state of a pre-training"),
    ):
        save_checkpoint(path, [], facts)
        with pytest.raises(RunError, match=message):
            pretrain(config, resume=True)


@pytest.mark.parametrize("resume", [False, True])
def test_an_output_that_may_not_be_read_is_said(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: bool
) -> None:
    def denied(self: Path) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    config = config_for(texts, tmp_path / "elmo")
    monkeypatch.setattr(Path, "is_file", denied)
    with pytest.raises(RunError, match=r"elmo cannot be used: Permission denied\. Choose another -o"):
        pretrain(config, resume=resume)


def test_an_existing_directory_is_refused_and_left_alone(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match=r"exists and is not empty.*--resume"):
        pretrain(config_for(texts, tmp_path))
    with pytest.raises(RunError, match="is a file"):
        pretrain(config_for(texts, tmp_path / "notes.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_there_must_be_something_to_resume(texts: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no checkpoint.*--resume"):
        pretrain(config_for(texts, tmp_path / "elmo"), resume=True)


def test_an_output_that_cannot_be_made_is_said_before_the_text_is_read(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(corpus, "count_words", None)  # calling it would fail
    with pytest.raises(RunError, match="elmo cannot be used: Not a directory"):
        pretrain(config_for(texts, tmp_path / "file" / "elmo"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunError, match="elmo cannot be used: Permission denied"):
        pretrain(config_for(texts, tmp_path / "new" / "elmo"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("content", ["", "\n  \n\n"])
def test_an_empty_corpus_is_refused_before_a_directory_is_made(
    tmp_path: Path, content: str, texts: Path
) -> None:
    (tmp_path / "empty.txt").write_text(content)
    config = config_for(texts, tmp_path / "elmo", corpus=(tmp_path / "empty.txt",))
    with pytest.raises(DataError, match="corpus is empty"):
        pretrain(config)
    with pytest.raises(DataError, match=r"empty\.txt holds no token"):
        pretrain(config_for(texts, tmp_path / "elmo", held_out=tmp_path / "empty.txt"))
    with pytest.raises(DataError, match=r"absent\.txt: there is no such file"):
        pretrain(replace(config, corpus=(tmp_path / "absent.txt",)))
    assert not (tmp_path / "elmo").exists()


def test_a_text_to_measure_on_that_is_trained_on_is_refused(texts: Path, tmp_path: Path) -> None:
    config = config_for(texts, tmp_path / "elmo", corpus=(texts / "*.txt",))
    with pytest.raises(DataError, match=r"--held-out .*held_out\.txt is a file of the corpus, too"):
        pretrain(config)
    assert not (tmp_path / "elmo").exists()


def test_a_budget_and_a_known_size_are_needed(texts: Path, tmp_path: Path) -> None:
    config = config_for(texts, tmp_path / "elmo")
    with pytest.raises(ConfigError, match=r"--minutes or --tokens"):
        pretrain(replace(config, max_tokens=None))
    with pytest.raises(
        ConfigError, match=r"--size huge: neither a known size \(tiny, mini, small, medium, original\)"
    ):
        pretrain(replace(config, size="huge"))
    without_marks = replace(SIZES["tiny"], sentence_marks=False)
    (tmp_path / "options.json").write_text(without_marks.to_json())
    with pytest.raises(ConfigError, match=r"options\.json: .* reads no marks .*\"sentence_marks\": false"):
        pretrain(replace(config, size=str(tmp_path / "options.json")))
    (tmp_path / "options.json").write_text("{}")
    with pytest.raises(SourceError, match=r"options\.json: not the options"):
        pretrain(replace(config, size=str(tmp_path / "options.json")))


def test_without_held_out_text_a_part_is_held_out(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained_on: list[list[str]] = []
    training_batch = PretrainModel.training_batch

    def seen(self, sentences, step):
        trained_on.extend(sentences)
        return training_batch(self, sentences, step)

    monkeypatch.setattr(PretrainModel, "training_batch", seen)
    config = config_for(texts, tmp_path / "elmo", held_out=None, lower_share=0.0, precision="bfloat16")
    config = replace(config, max_tokens=9000, licence="My own small talk, CC0.")
    result = pretrain(config)
    held_out = HeldOut(**read_facts(tmp_path / "elmo" / "checkpoint" / "state.npz")["held_out"])
    measured = held_out.sentences([texts / "train.txt"])
    assert result.perplexity.tokens == sum(len(tokens) + 1 for tokens in measured) > 0
    assert len(trained_on) > 400
    assert not any(held_out.holds(tokens) for tokens in trained_on)
    card = (tmp_path / "elmo" / "MODEL_CARD.md").read_text()
    assert "sentences of the corpus, held out from training" in card
    assert "mixed_bfloat16" in card
    assert card.endswith("tokens\n\nMy own small talk, CC0.\n")
    # What is held out is known to the process that goes on.
    monkeypatch.undo()
    again = pretrain(replace(config, max_tokens=9200), resume=True)
    assert again.perplexity.tokens == result.perplexity.tokens


def test_a_table_is_trained_on_and_gone_on_with(texts: Path, tmp_path: Path) -> None:
    lines = (texts / "train.txt").read_text().splitlines()[:120]
    table = tmp_path / "talk.csv"
    pd.DataFrame({"id": range(120), "what": lines}).to_csv(table, index=False)
    config = config_for(texts, tmp_path / "elmo", corpus=(table,), data=DataConfig(text_column="what"))
    pretrain(replace(config, max_tokens=1000))
    pretrain(replace(config, max_tokens=2000), resume=True)
    assert "- talk.csv: " in (tmp_path / "elmo" / "MODEL_CARD.md").read_text()
    with pytest.raises(RunError, match=r"--text-column: it was what, it is id"):
        pretrain(replace(config, data=DataConfig(text_column="id")), resume=True)
    table.write_text(table.read_text() + "121,One more .\n")
    with pytest.raises(RunError, match=r"text file 1: it was talk\.csv"):
        pretrain(config, resume=True)


def test_words_to_predict_may_be_given(texts: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("book\nThe\nfarmer\nnever\n")
    config = config_for(texts, tmp_path / "elmo", vocabulary=words, max_tokens=400)
    result = pretrain(config)
    listed = (tmp_path / "elmo" / "vocab.txt").read_text().splitlines()
    assert listed == ["<S>", "</S>", "<UNK>", "The", *listed[4:6], "never"]
    assert 0.5 < result.perplexity.unknown_share < 0.9
    assert "7, cased" in (tmp_path / "elmo" / "MODEL_CARD.md").read_text()
    words.write_text("book\nThe\n")
    with pytest.raises(RunError, match=r"--vocabulary: it was SHA-256"):
        pretrain(config, resume=True)


def test_words_may_keep_their_case(texts: Path, tmp_path: Path) -> None:
    config = config_for(texts, tmp_path / "elmo", cased=True, max_tokens=400, vocabulary_size=20)
    pretrain(config)
    words = (tmp_path / "elmo" / "vocab.txt").read_text().splitlines()
    assert "The" in words
    assert len(words) == 20
    pretrain(replace(config, max_tokens=600), resume=True)
