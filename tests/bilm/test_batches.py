"""Batches of equal length: everything once, in an order that can be repeated and resumed."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from elmo_cli.bilm import batches
from elmo_cli.bilm.batches import CorpusBatches, Place, Speller, equal_length_batches, language_model_batch
from elmo_cli.bilm.vocabulary import Vocabulary
from elmo_cli.errors import DataError


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    random = np.random.default_rng(0)
    found = []
    for name in ("1.txt", "2.txt"):
        lines = [" ".join(f"W{name[0]}{i}.{at}" for at in range(random.integers(1, 12))) for i in range(150)]
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        found.append(tmp_path / name)
    return found


@pytest.fixture(autouse=True)
def small_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_POOL_SENTENCES", 70)


def one_pass(
    paths: list[Path], *, seed: int = 1, max_tokens: int = 8, lower_share: float = 0.0, tokens: int = 30
):
    return list(
        equal_length_batches(
            paths, batch_tokens=lambda pool: tokens, max_tokens=max_tokens, lower_share=lower_share, seed=seed
        )
    )


def test_every_piece_of_every_sentence_is_seen_once_among_others_of_its_length(paths: list[Path]) -> None:
    expected = Counter()
    for path in paths:
        for line in path.read_text().splitlines():
            tokens = line.split()
            expected.update(tuple(tokens[at : at + 8]) for at in range(0, len(tokens), 8))
    found = one_pass(paths)
    assert Counter(tuple(tokens) for batch in found for tokens in batch) == expected
    for batch in found:
        length = len(batch[0])
        assert {len(tokens) for tokens in batch} == {length}
        assert 1 <= len(batch) <= max(1, 30 // (length + 1))
    # Sizes are rounded; only what is left at the end may be much smaller: two batches per length.
    assert sum(5 * len(batch) < 4 * (30 // (len(batch[0]) + 1)) for batch in found) <= 2 * 8
    assert {len(batch) for batch in found} <= {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14}


def test_a_sentence_longer_than_a_batch_is_a_batch(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("a b c d e f\n" * 3)
    assert [len(batch) for batch in one_pass([path], tokens=2)] == [1, 1, 1]


def test_the_seed_decides_the_order(paths: list[Path]) -> None:
    assert one_pass(paths) == one_pass(paths)
    assert one_pass(paths) != one_pass(paths, seed=2)


def test_a_share_of_the_sentences_is_lower_cased_whole(paths: list[Path]) -> None:
    found = [tokens for batch in one_pass(paths, lower_share=0.3, max_tokens=20) for tokens in batch]
    lower = [tokens for tokens in found if tokens[0].startswith("w")]
    assert 0.2 < len(lower) / len(found) < 0.4
    assert all(token.startswith("w") for tokens in lower for token in tokens)
    assert all(token.startswith("W") for tokens in found if tokens not in lower for token in tokens)


def stream(paths: list[Path], *, num_batches: int = 0, place: Place = Place()) -> CorpusBatches:  # noqa: B008
    return CorpusBatches(
        paths,
        batch_tokens=30,
        max_tokens=8,
        lower_share=0.3,
        seed=5,
        num_batches=num_batches,
        place=place,
    )


def test_passes_follow_one_another_in_other_orders(paths: list[Path]) -> None:
    per_pass = len(one_pass(paths, seed=5, lower_share=0.3))
    batches = stream(paths)
    first, second = ([batches.next() for _ in range(per_pass)] for _ in range(2))
    assert first == one_pass(paths, seed=5, lower_share=0.3)
    assert second == one_pass(paths, seed=6, lower_share=0.3)[:per_pass]


@pytest.mark.parametrize("stop", [0, 1, 15, 70, 100, 110, 160, 230])
def test_a_resumed_stream_goes_on_with_the_next_batch(paths: list[Path], stop: int) -> None:
    def double(step: int) -> bool:
        return step >= 15

    whole = stream(paths)
    expected = [whole.next(double=double(step)) for step in range(250)]
    assert whole.place.passes >= 2

    first = stream(paths)
    found = [first.next(double=double(step)) for step in range(stop)]
    second = stream(paths, num_batches=stop, place=first.place)
    found += [second.next(double=double(step)) for step in range(stop, 250)]
    assert found == expected
    assert second.place == whole.place


def test_batches_double_with_the_next_pool_and_stay_so(paths: list[Path]) -> None:
    batches = stream(paths)
    sizes = []
    while batches.place.doubled_from is None:
        sizes.append(sum(len(tokens) + 1 for tokens in batches.next(double=len(sizes) >= 20)))
    assert len(sizes) > 20
    assert max(sizes[:-1]) <= 30
    assert batches.place.doubled_from[0] == 0
    assert batches.place.doubled_from[1] >= 1
    more = [sum(len(tokens) + 1 for tokens in batches.next(double=False)) for _ in range(300)]
    assert batches.place.passes >= 2
    assert 30 < max(more[150:]) <= 60


@pytest.mark.parametrize("stop", [0, 15, 110])
@pytest.mark.parametrize("pool_tokens", [None, 100])
def test_a_pool_ends_with_so_many_tokens_also_where_training_goes_on(
    paths: list[Path], pool_tokens: int | None, stop: int
) -> None:
    start = Place(pool_tokens=pool_tokens)
    whole = stream(paths, place=start)
    expected = [whole.next() for _ in range(200)]
    first = stream(paths, place=start)
    found = [first.next() for _ in range(stop)]
    second = stream(paths, num_batches=stop, place=first.place)
    assert found + [second.next() for _ in range(stop, 200)] == expected
    unlimited = stream(paths)
    default = [unlimited.next() for _ in range(200)]
    assert (expected != default) == (pool_tokens is not None)


def test_a_pool_of_long_sentences_is_read_no_further_than_needed(tmp_path: Path) -> None:
    read: list[int] = []

    def documents(path: Path) -> Iterator[list[str]]:
        for number in range(10):
            read.append(number)
            yield ["word"] * 40

    found = equal_length_batches(
        [tmp_path],
        batch_tokens=lambda pool: 30,
        max_tokens=9,
        lower_share=0,
        seed=1,
        pool_tokens=100,
        read=documents,
    )
    next(found)
    assert read == [0, 1, 2]
    assert sum(len(tokens) for batch in found for tokens in batch) > 300
    assert len(read) == 10


def test_an_empty_corpus_ends_no_loop_but_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="corpus is empty"):
        stream([tmp_path / "empty.txt"]).next()


def test_a_batch_is_characters_rows_and_targets() -> None:
    vocabulary = Vocabulary(("<S>", "</S>", "<UNK>", "a", "b"))
    batch = language_model_batch([["A", "b"], ["x", "A"]], vocabulary, Speller(50, 3))
    np.testing.assert_array_equal(batch["index"], [[0, 2, 3, 1], [0, 4, 2, 1]])
    np.testing.assert_array_equal(batch["targets"], [[0, 3, 4, 1], [0, 2, 3, 1]])
    np.testing.assert_array_equal(batch["character_ids"][2], [258, 65, 259, 260, 260, 260])
