"""This project's own path: what elmo-train, elmo-eval and elmo-predict do with a frozen ELMo."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from elmo_cli.classifier.encoding import Encoder
from elmo_cli.classifier.pooling import MaskedPooling
from elmo_cli.elmo.embedder import load_embedder
from elmo_cli.elmo.source import resolve
from elmo_cli.text.sentences import Sentences, token_counts

PRECISIONS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")


def ours(
    weights: Path, precision: Literal["float32", "bfloat16"]
) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Loads an ELMo.

    Args:
        weights: The directory with options.json and weights.hdf5.
        precision: Of the products.

    Returns:
        A function from N space-joined sentences to the mean over tokens of each layer, float32 (N, L, 2P).
    """
    encoder = Encoder(load_embedder(resolve(str(weights)), precision), MaskedPooling(("mean",)))

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        encoded = encoder(Sentences(np.array(texts, object), token_counts(texts)))
        return encoded.vectors[encoded.rows].astype(np.float32, copy=False)

    return encode
