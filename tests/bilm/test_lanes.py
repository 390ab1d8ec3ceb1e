"""Lanes: every token is read once, in its order, in one lane."""

import numpy as np
import pytest

from elmo_cli.bilm import lanes
from elmo_cli.bilm.lanes import fill_lanes


def plan(lengths: list[int]) -> lanes.Lanes:
    """Lanes of sentences whose tokens are numbered through, from 1."""
    return fill_lanes(np.arange(1, 1 + sum(lengths), dtype=np.int32), np.array(lengths, np.int32))


@pytest.mark.parametrize("lengths", [[1], [3, 1, 2], [5] * 7, [1, 9, 1, 1, 4, 4, 2, 1, 1]])
@pytest.mark.parametrize("max_lanes", [1, 2, 4, 100])
def test_every_sentence_is_read_both_ways_in_one_lane(lengths, max_lanes, monkeypatch):
    monkeypatch.setattr(lanes, "MAX_LANES", max_lanes)
    filled = plan(lengths)
    assert filled.begins.shape[1] == min(max_lanes, len(lengths))
    assert np.count_nonzero(filled.forward) == np.count_nonzero(filled.backward) == sum(lengths)
    first_token = np.cumsum([0, *lengths])
    num_lanes = filled.begins.shape[1]
    for sentence, length in enumerate(lengths):
        tokens = first_token[sentence] + 1 + np.arange(length)
        forward_place = filled.forward_place[sentence, :length]
        backward_place = filled.backward_place[sentence, :length]
        assert filled.forward.flat[forward_place].tolist() == tokens.tolist()
        assert filled.backward.flat[backward_place].tolist() == tokens.tolist()
        # Step after step in the same lane; the backward reading begins with the last token.
        assert set(np.diff(forward_place)) <= {num_lanes}
        assert set(np.diff(backward_place)) <= {-num_lanes}
        assert filled.begins.flat[forward_place].tolist() == [True] + [False] * (length - 1)
        assert filled.begins.flat[backward_place[-1]]
        assert not filled.forward_place[sentence, length:].any()


def test_short_sentences_fill_the_lanes_beside_a_long_one(monkeypatch):
    monkeypatch.setattr(lanes, "MAX_LANES", 3)
    assert plan([6, 1, 1, 1, 1, 1, 1, 3, 3]).forward.shape == (6, 3)


def test_lanes_that_fit_exactly_leave_nothing_empty(monkeypatch):
    monkeypatch.setattr(lanes, "MAX_LANES", 2)
    assert plan([2, 2, 2, 2]).forward.all()
