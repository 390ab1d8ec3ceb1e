"""What benchmarks/senses.py shows is what it says."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tiny_run import write_csv


@pytest.fixture(scope="module")
def modules(project: Path) -> Iterator[SimpleNamespace]:
    """The script and its part, found as from benchmarks/ itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project / "benchmarks")
        found = {"script": "senses", "words": "contestants.word_senses"}
        yield SimpleNamespace(**{name: importlib.import_module(each) for name, each in found.items()})


@pytest.fixture(scope="module")
def senses(modules: SimpleNamespace) -> Any:
    """The set itself."""
    return modules.words.read_senses(modules.script.FOLDER)


def test_the_word_of_each_sentence_is_found(modules: SimpleNamespace, senses: Any) -> None:
    texts = senses.sentences.texts
    found = [text.lower().split()[place] for text, place in zip(texts, senses.places, strict=True)]
    assert found == [modules.words.WORDS[word] for word in senses.words]
    assert len(found) == 456


def test_a_sentence_without_a_word_is_refused(modules: SimpleNamespace, tmp_path: Path) -> None:
    for name in ("train.csv", "test.csv"):
        write_csv(tmp_path / name, [("The bank is closed.", "business"), ("Nothing here.", "nature")])
    with pytest.raises(SystemExit, match=r"exactly one of the ambiguous words in 'Nothing here \.'"):
        modules.words.read_senses(tmp_path)


def test_words_and_senses_are_spread_over_both_parts_alike(senses: Any) -> None:
    train, test = senses.split(0)
    assert sorted([*train, *test]) == list(range(456))
    for rows, share in ((train, 0.75), (test, 0.25)):
        for target in (0, 1):
            of_word = np.bincount(senses.words[rows[senses.targets[rows] == target]])
            of_all = np.bincount(senses.words[senses.targets == target])
            assert np.abs(of_word - share * of_all).max() < 1
    assert set(senses.split(1)[1]) != set(test)


def test_the_nearer_sense_of_the_same_word_is_taken(modules: SimpleNamespace, senses: Any) -> None:
    train, test = senses.split(0)
    same = np.eye(len(modules.words.WORDS))[senses.words]  # knows the word, and nothing about its sense
    assert modules.words.nearest_sense(same, senses, train, test) == 0.5
    # What a sense means differs from word to word.
    sense = np.where(senses.targets == senses.words % 2, 1.0, -1.0)[:, None]
    knowing = np.hstack([same, 0.1 * sense]).astype(np.float16)
    assert modules.words.nearest_sense(knowing, senses, train, test) == 1
    mistaken = np.where(np.isin(np.arange(456), test)[:, None], [1] * 24 + [-1], 1) * knowing
    assert modules.words.nearest_sense(mistaken, senses, train, test) == 0


def test_the_head_learns_from_the_layer_that_knows(modules: SimpleNamespace, senses: Any) -> None:
    random = np.random.default_rng(0)
    vectors = random.standard_normal((456, 2, 3)).astype(np.float32)
    vectors[:, 1, 0] += 6 * senses.targets
    found = [
        modules.script.learned(
            vectors[:, [layer]], senses.targets, senses.split(0), seed=0, joined=layer == 1
        )
        for layer in (0, 1)
    ]
    assert found[0] < 0.7 < 0.95 < found[1]


def test_the_table_says_how_often_layer_0_was_beaten(modules: SimpleNamespace) -> None:
    sentence = {"layer 0": [0.5, 0.5, 0.5], "layer 1": [0.6, 0.5, 0.4], "mixed": [0.6, 0.6, 0.6]}
    assert modules.script.table(sentence, {"layer 0": [0.5, 0.5, 0.5]}).splitlines()[2:] == [
        "| layer 0 | 50.0 ± 0.0 |  | 50.0 ± 0.0 |",
        "| layer 1 | 50.0 ± 10.0 | 1.5 of 3 |  |",
        "| mixed | 60.0 ± 0.0 | 3 of 3 |  |",
    ]
