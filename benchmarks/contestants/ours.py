"""This project's own path: what elmo-train, elmo-eval and elmo-predict do with a frozen ELMo."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elmo_cli.classifier.encoding import Encoder
from elmo_cli.classifier.pooling import MaskedPooling
from elmo_cli.config import ElmoConfig
from elmo_cli.elmo.bilm_embedder import BiLMEmbedder
from elmo_cli.elmo.source import resolve
from elmo_cli.text.sentences import Sentences, token_counts

PRECISIONS = ("float32", "bfloat16")


def ours(weights: Path, precision: str) -> Callable[[Sequence[str]], NDArray[np.float32]]:
    """Loads an ELMo.

    Args:
        weights: The directory with options.json and weights.hdf5.
        precision: One of `PRECISIONS`.

    Returns:
        A function from N space-joined sentences to the mean over tokens of each layer, float32 (N, L, 2P).
    """
    policy = "float32" if precision == "float32" else "mixed_bfloat16"
    encoder = Encoder(BiLMEmbedder(source=resolve(str(weights)), dtype=policy), MaskedPooling(("mean",)))

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        sentences = Sentences(np.array(texts, object), token_counts(texts))
        return encoder(sentences, batch_tokens=ElmoConfig().batch_tokens)

    return encode
