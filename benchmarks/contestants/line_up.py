"""All contestants behind one face: batches of sentences in, seconds and vectors out."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from contestants.ours import PRECISIONS, ours
from contestants.texts import batches, spread
from contestants.tf1_recipe import TF1Recipe
from contestants.torch_process import encode_with_torch

Vectors = NDArray[np.float32]
Batches = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Contestant:
    """A way to encode.

    Args:
        name: What tables call it.
        batches: All sentences, in the batches that it takes.
        encode: From some batches to seconds and the vectors of their N sentences, (N, L, 2P).
        precision: Of its products.
    """

    name: str
    batches: Batches
    encode: Callable[[Batches], tuple[float, Vectors]]
    precision: str = "float32"

    def num_batches_in(self, seconds: float) -> int:
        """Tells how many of its batches take about so many seconds; at least two."""
        one = spread(self.batches, 1)
        self.encode(one)  # The first call is slower than the others.
        return max(2, round(seconds / self.encode(one)[0]))


def line_up(weights: Path, texts: Sequence[str], torch_python: str | None) -> list[Contestant]:
    """Loads all contestants.

    Args:
        weights: The directory with options.json and weights.hdf5.
        texts: Space-joined sentences.
        torch_python: A Python that has torch, numpy and h5py, or None to leave PyTorch out.

    Returns:
        Ours first, in the order of `PRECISIONS`, with all sentences as one batch.
    """
    recipe, longest = TF1Recipe(weights), max(text.count(" ") + 1 for text in texts)
    in_order, by_length = batches(texts, 32), batches(texts, 128, by_length=True)
    found = [
        Contestant(f"ours, {precision}", [texts], timed(ours(weights, precision)), precision)
        for precision in PRECISIONS
    ]
    found += [
        Contestant(
            "the seed's recipe (TF 1, 32 rows, padded to the longest of all)",
            in_order,
            timed(lambda batch: recipe.encode(batch, longest)),
        ),
        Contestant("TF 1, 32 rows, padded per batch", in_order, timed(recipe.encode)),
        Contestant("TF 1, 128 rows, sorted", by_length, timed(recipe.encode)),
    ]
    if torch_python:
        found += [
            Contestant(
                f"PyTorch, 128 rows, sorted, packed, {precision}",
                by_length,
                lambda some, precision=precision: encode_with_torch(torch_python, weights, some, precision),
                precision,
            )
            for precision in PRECISIONS
        ]
    return found


def timed(encode: Callable[[Sequence[str]], Vectors]) -> Callable[[Batches], tuple[float, Vectors]]:
    """Turns a function of one batch into one of several that tells the seconds it took."""

    def run(some: Batches) -> tuple[float, Vectors]:
        start = time.perf_counter()
        vectors = [encode(batch) for batch in some]
        return time.perf_counter() - start, np.concatenate(vectors)

    return run
