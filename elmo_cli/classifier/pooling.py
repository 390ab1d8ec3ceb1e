"""Token vectors become one vector per layer; padding never enters."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from elmo_cli.config import POOLINGS


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

    def __init__(self, poolings: Sequence[str] = POOLINGS, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.poolings = tuple(poolings)
        known = set(self.poolings) <= set(POOLINGS)
        if not self.poolings or not known or len(set(self.poolings)) < len(self.poolings):
            raise ValueError(f"poolings must be some of {POOLINGS}, each at most once, not {self.poolings}")

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
