"""What is kept of the token vectors of a text: one vector per layer, or all; padding never enters."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from elmo_cli.config import FIXED_POOLINGS


def checked_poolings(poolings: Sequence[str], allowed: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the names of poolings; raises ValueError unless they are some of those allowed, each once."""
    names = tuple(poolings)
    if not names or not set(names) <= set(allowed) or len(set(names)) < len(names):
        raise ValueError(f"poolings must be some of {allowed}, each at most once, not {names}")
    return names


@keras.saving.register_keras_serializable("elmo_cli")
class MaskedPooling(keras.layers.Layer):
    """Pools the token vectors of each layer, over real tokens only.

    Padding is replaced before anything is summed or compared, so that whatever stands there, NaN and
    infinity included, cannot reach the result. A row without any token becomes zeros.

    Args:
        poolings: Which of ``"mean"`` and ``"max"``, each at most once; several are joined in this order.
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        layers: Floats (B, L, T, D).
        mask: bool (B, T), true where a token stands.

    Returns:
        float32 (B, L, P) with P = D times the number of poolings, under every dtype policy.

    Raises:
        ValueError: When ``poolings`` is empty, repeats itself or holds another name.
    """

    def __init__(self, poolings: Sequence[str] = FIXED_POOLINGS, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.poolings = checked_poolings(poolings, FIXED_POOLINGS)

    @property
    def stored(self) -> str:
        """What it makes, in words; part of the keys of the cache."""
        return f"layers pooled by {','.join(self.poolings)}"

    def encoded_shape(self, num_layers: int, dim: int) -> tuple[int, int]:
        """Returns the shape (L, P) of what it makes of a text."""
        return num_layers, dim * len(self.poolings)

    def build(self, layers_shape: tuple[int | None, ...]) -> None:
        """Checks the shape; there are no weights, and Keras leaves the shape of masks out."""
        if len(layers_shape) != 4:
            raise ValueError(f"layers must be (B, L, T, D), not {layers_shape}")

    def call(self, layers: Any, mask: Any) -> Any:
        """Pools; see the class."""
        layers = ops.cast(layers, "float32")
        # The mask of each token, for all its layers and dimensions: (B, 1, T, 1)
        real = ops.cast(mask, "bool")[:, None, :, None]
        pooled = []
        for pooling in self.poolings:
            if pooling == "mean":
                # Sum of the real tokens by their number; (B, L, D) by (B, 1, 1)
                total = ops.sum(ops.where(real, layers, 0.0), axis=2)
                pooled.append(total / ops.maximum(ops.sum(ops.cast(real, "float32"), axis=2), 1.0))
            else:
                # Largest value among real tokens, 0 where there is none: (B, L, D)
                largest = ops.max(ops.where(real, layers, -float("inf")), axis=2)
                pooled.append(ops.where(ops.any(real, axis=2), largest, 0.0))
        return ops.concatenate(pooled, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "poolings": list(self.poolings)}


@keras.saving.register_keras_serializable("elmo_cli")
class MaskedTokens(keras.layers.Layer):
    """Keeps the vectors of all tokens, for a pooling that is learned; padding becomes zeros.

    All zeros in all layers mean that there is no token, in the way of `keras.layers.Masking`. A token that
    an embedder gives such a vector has nothing to add to a text: it is padding to all that follows.

    Args:
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        layers: Floats (B, L, T, D).
        mask: bool (B, T), true where a token stands.

    Returns:
        float32 (B, L, T, D), under every dtype policy.
    """

    stored = "token vectors"

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)

    def encoded_shape(self, num_layers: int, dim: int) -> tuple[int, None, int]:
        """Returns the shape (L, None, D) of what it makes of a text, of any number of tokens."""
        return num_layers, None, dim

    def call(self, layers: Any, mask: Any) -> Any:
        """Replaces padding; see the class."""
        # The mask of each token, for all its layers and dimensions: (B, 1, T, 1)
        real = ops.cast(mask, "bool")[:, None, :, None]
        return ops.where(real, ops.cast(layers, "float32"), 0.0)
