"""Sentences laid end to end in lanes, so that every step of an LSTM has the same number of rows."""

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_LANES = 256  # wide enough for matrix products at nearly full speed


class Lanes(NamedTuple):
    """What each lane reads at each step, and where each token's result is found.

    K lanes take S steps. A sentence stays in one lane; the backward reading of a sentence stands at the
    same steps as its forward reading. Where a lane is empty it reads token 0, for nothing.

    Args:
        forward: int32 (S, K), numbers of tokens read from left to right.
        backward: int32 (S, K), numbers of tokens read from right to left.
        begins: bool (S, K), true where a sentence begins.
        forward_place: int32 (B, T), for each token the row of ``(S * K)`` results; 0 beyond the end.
        backward_place: The same for the backward reading.
    """

    forward: NDArray[np.int32]
    backward: NDArray[np.int32]
    begins: NDArray[np.bool_]
    forward_place: NDArray[np.int32]
    backward_place: NDArray[np.int32]


def fill_lanes(tokens: NDArray[np.int32], lengths: NDArray[np.int32]) -> Lanes:
    """Distributes sentences over lanes: the longest first, each into the lane that is free soonest.

    Args:
        tokens: Numbers of all tokens, one sentence after another, int32 (sum of lengths,).
        lengths: Tokens of each sentence, at least 1, int32 (B,).

    Returns:
        The plan. It has as many lanes as sentences, at most `MAX_LANES`.

    Reference:
        Graham 1969, Bounds on multiprocessing timing anomalies: longest processing time first.
    """
    num_sentences = len(lengths)
    num_lanes = min(num_sentences, MAX_LANES)
    free = [(0, lane) for lane in range(num_lanes)]
    lane, start = np.empty(num_sentences, np.int64), np.empty(num_sentences, np.int64)
    for sentence in np.argsort(-lengths, kind="stable"):
        start[sentence], lane[sentence] = free[0]
        heapq.heapreplace(free, (int(start[sentence] + lengths[sentence]), int(lane[sentence])))
    shape = (max(end for end, _ in free), num_lanes)

    # Per token: its sentence, and its distance from the sentence's first and last token.
    sentence = np.repeat(np.arange(num_sentences), lengths)
    from_first = np.arange(len(tokens)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    from_last = lengths[sentence] - 1 - from_first
    sequences, places = [], []
    for distance in (from_first, from_last):
        rows = (start[sentence] + distance) * num_lanes + lane[sentence]
        sequence = np.zeros(shape, np.int32)
        sequence.flat[rows] = tokens
        place = np.zeros((num_sentences, lengths.max()), np.int32)
        place[sentence, from_first] = rows
        sequences.append(sequence)
        places.append(place)
    begins = np.zeros(shape, np.bool_)
    begins[start, lane] = True
    return Lanes(sequences[0], sequences[1], begins, places[0], places[1])
