"""What is held out is measured and never trained on."""

from pathlib import Path

import pytest

from elmo_cli.bilm import held_out
from elmo_cli.bilm.batches import CorpusBatches
from elmo_cli.bilm.corpus import read_sentences
from elmo_cli.bilm.held_out import HeldOut, hold_out
from elmo_cli.errors import DataError


def write(path: Path, numbers: range) -> Path:
    path.write_text("".join(f"sentence number {number} of many\n" for number in numbers))
    return path


def test_each_sentence_is_held_out_or_trained_on(tmp_path: Path) -> None:
    paths = [write(tmp_path / "1.txt", range(1500)), write(tmp_path / "2.txt", range(1000, 2000))]
    found, sentences = hold_out(paths, 2500 * 5)
    assert found == HeldOut(20)
    assert 60 < len(sentences) < 190
    training = [tokens for path in paths for tokens in found.training_sentences(path)]
    assert len(training) + len(sentences) == 2500
    # Also those that stand in both files.
    assert {tuple(tokens) for tokens in training}.isdisjoint(map(tuple, sentences))


def test_of_a_large_text_less_is_held_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "_ENOUGH_TOKENS", 200)
    found, sentences = hold_out([write(tmp_path / "1.txt", range(3000))], 3000 * 5)
    assert found == HeldOut(75)
    assert 20 < len(sentences) < 65


def test_of_a_tiny_text_more_is_held_out(tmp_path: Path) -> None:
    found, sentences = hold_out([write(tmp_path / "1.txt", range(3))], 15)
    assert 1 <= len(sentences) <= 2
    assert found.one_in < 20


def test_batches_have_nothing_that_is_held_out(tmp_path: Path) -> None:
    path = write(tmp_path / "1.txt", range(100))
    found = HeldOut(4)
    batches = CorpusBatches(
        [path], batch_tokens=30, max_tokens=9, lower_share=0, seed=1, read=found.training_sentences
    )
    seen = []
    while not batches.place.passes:
        seen += batches.next()
    assert not any(found.holds(tokens) for tokens in seen)
    assert {tuple(tokens) for tokens in seen} >= {
        tuple(tokens) for tokens in read_sentences(path) if not found.holds(tokens)
    }


def test_nothing_is_held_out_by_default() -> None:
    assert not HeldOut().holds(["any"])


@pytest.mark.parametrize(
    ("text", "lines"), [("one sentence . Another one .\n", "1 line"), ("the same\n" * 40, "40 lines")]
)
def test_a_text_that_cannot_be_parted_is_refused(tmp_path: Path, text: str, lines: str) -> None:
    path = tmp_path / "1.txt"
    path.write_text(text)
    message = rf"too small, or too much alike.*: it has {lines}, and one sentence a line is .*--held-out"
    with pytest.raises(DataError, match=message):
        hold_out([path], len(text.split()))
