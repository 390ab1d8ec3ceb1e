"""Rows with made-up vectors, for tests of the files they are written to."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pandas as pd

from elmo_cli.text.sentences import cut
from elmo_cli.workflows.vector_file import EmbeddedRows, VectorLayout, Write

SENTENCES = ("The soup is cold .", "", "ünï code", "The soup is cold .", "x")


def layout_of(shape: tuple[int | None, ...], dtype: str = "float32") -> VectorLayout:
    return VectorLayout(shape, np.dtype(dtype))


def rows_of(layout: VectorLayout, sentences: Sequence[str] = SENTENCES, first: int = 0) -> EmbeddedRows:
    """Each number of each row is another one, and the same whether or not other rows come with it."""
    found = cut(list(sentences), 10)
    vectors: list[Any] = []
    for number, length in enumerate(found.lengths.tolist(), first):
        shape = [length if size is None else size for size in layout.shape]
        vectors.append((np.arange(math.prod(shape)).reshape(shape) + 100 * number).astype(layout.dtype))
    table = pd.DataFrame({"id": range(first, first + len(vectors)), "text": list(sentences)})
    if not layout.by_token:
        vectors = np.array(vectors, layout.dtype).reshape(len(vectors), *layout.unit_shape)
    return EmbeddedRows(table, found, vectors)


def interrupted_after(rows: EmbeddedRows, file: AbstractContextManager[Write]) -> None:
    """Writes rows; then Ctrl-C comes."""
    with file as write:
        write(rows)
        raise KeyboardInterrupt
