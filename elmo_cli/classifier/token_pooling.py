"""The token vectors of a text, their layers mixed already, become one vector."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from elmo_cli.classifier.attention import AttentionPooling
from elmo_cli.classifier.pooling import MaskedPooling, checked_poolings
from elmo_cli.config import POOLINGS


@keras.saving.register_keras_serializable("elmo_cli")
class TokenPooling(keras.layers.Layer):
    """Pools mixed token vectors by attention, mean and maximum side by side; padding never enters.

    All of them see the same vectors, those after the mix, as a task model does in the ELMo paper. The mean
    is then what pooling before the mix gives, the maximum that of mixed tokens.

    Args:
        poolings: Which of ``"mean"``, ``"max"`` and ``"attention"``, each at most once; joined in this order.
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        vectors: Floats (B, T, D).
        mask: bool (B, T), true where a token stands.

    Returns:
        float32 (B, P) with P = D times the number of poolings, under every dtype policy.

    Raises:
        ValueError: When ``poolings`` is empty, repeats itself or holds another name.
    """

    def __init__(self, poolings: Sequence[str] = POOLINGS, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.poolings = checked_poolings(poolings, POOLINGS)
        self.parts = [
            AttentionPooling(name=name) if name == "attention" else MaskedPooling((name,), name=name)
            for name in self.poolings
        ]

    def build(self, vectors_shape: tuple[int | None, ...]) -> None:
        """Makes the weights of attention; the others have none."""
        if len(vectors_shape) != 3:
            raise ValueError(f"vectors must be (B, T, D), not {vectors_shape}")
        for part in self.parts:
            if isinstance(part, AttentionPooling):
                part.build(vectors_shape)

    def pooled_shape(self, vectors_shape: tuple[int | None, ...]) -> tuple[int | None, int]:
        """Returns the shape (B, P) of what it makes of vectors (B, T, D)."""
        num_rows, _, dim = vectors_shape
        if dim is None:
            raise ValueError(f"vectors must be (B, T, D) with a known D, not {vectors_shape}")
        return num_rows, dim * len(self.poolings)

    def call(self, vectors: Any, mask: Any) -> Any:
        """Pools; see the class."""
        # Each pooling: (B, D); the masked ones expect an axis of layers, here of one
        pooled = [
            part(vectors, mask) if isinstance(part, AttentionPooling) else part(vectors[:, None], mask)[:, 0]
            for part in self.parts
        ]
        # Side by side: (B, P)
        return ops.concatenate(pooled, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "poolings": list(self.poolings)}
