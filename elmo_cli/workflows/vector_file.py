"""What every file of vectors is made of, and which kinds of files there are."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from elmo_cli.errors import ConfigError
from elmo_cli.text.sentences import Sentences

VectorKind = Literal["npz", "hdf5", "parquet"]

_KINDS: dict[str, VectorKind] = {
    ".npz": "npz",
    ".hdf5": "hdf5",
    ".h5": "hdf5",
    ".hdf": "hdf5",
    ".parquet": "parquet",
    ".pq": "parquet",
}


@dataclass(frozen=True)
class VectorLayout:
    """What is written of each row, known before there is one.

    Args:
        shape: Of the vectors of a text: (P,) or (layers, P), or with all its tokens (None, D) or
            (layers, None, D).
        dtype: float32 or float16.
    """

    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]

    @property
    def by_token(self) -> bool:
        """Whether all tokens are kept."""
        return None in self.shape

    @property
    def unit_shape(self) -> tuple[int, ...]:
        """What there is of each text, or of each token where all are kept: (P,), (D,), or by layers."""
        return tuple(size for size in self.shape if size is not None)


@dataclass(frozen=True)
class EmbeddedRows:
    """Some rows of a table and their vectors.

    Args:
        table: The N rows as they were read, any index.
        sentences: Their N texts as they were embedded.
        vectors: Of the type and shape that the layout says: an array (N, ...), or where all tokens are kept
            one for each row, (T, D) or (layers, T, D).
    """

    table: pd.DataFrame
    sentences: Sentences
    vectors: NDArray[Any] | list[NDArray[Any]]


# Adds rows to a file that is open.
Write = Callable[[EmbeddedRows], None]


def kind_of_file(target: Path, kind: VectorKind | None = None) -> VectorKind:
    """Decides which kind of file to write.

    Args:
        target: Where to.
        kind: What the user asked for; None tells it from the ending.

    Returns:
        The kind.

    Raises:
        ConfigError: When the ending tells nothing, or a file of vectors cannot be written there.
    """
    if os.path.isdir(target):
        raise ConfigError(f"-o {target} is a directory. Give the path of a file in it.")
    if os.path.exists(target) and not os.path.isfile(target):
        raise ConfigError(
            f"-o {target} is a device or a pipe, but files of vectors are not written from front to back. "
            "Give the path of a file."
        )
    found = kind or _KINDS.get(target.suffix.lower())
    if found is None:
        raise ConfigError(
            f"-o {target}: the ending does not tell what to write. Let it end in .npz, .hdf5 or .parquet, or "
            f"say --format {'|'.join(get_args(VectorKind))}."
        )
    return found
