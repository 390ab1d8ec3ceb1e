"""Pooling that is learned: which tokens the vector of a text is made of."""

from typing import Any

import keras
from keras import ops

WIDTH = 100  # of Yang et al. 2016, section 3.2


@keras.saving.register_keras_serializable("elmo_cli")
class AttentionPooling(keras.layers.Layer):
    """Averages token vectors x, each weighed by what a learned query q finds in it.

    The weights are ``softmax(q · tanh(W x + b))`` over the tokens of a text; padding has no part in it, and
    whatever stands there cannot reach the result. The query starts at zero, so that the pooling starts as
    the plain mean, as the layer mix does. A row without any token becomes zeros.

    Args:
        width: Numbers in q, at least 1.
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        vectors: Floats (B, T, D).
        mask: bool (B, T), true where a token stands.

    Returns:
        float32 (B, D), under every dtype policy.

    Raises:
        ValueError: When ``width`` is less than 1, or ``vectors`` of another rank.

    Reference:
        Yang et al. 2016, "Hierarchical Attention Networks for Document Classification", equations 5 to 7.
    """

    def __init__(self, width: int = WIDTH, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if width < 1:
            raise ValueError(f"width must be at least 1, not {width}")
        self.width = width

    def build(self, vectors_shape: tuple[int | None, ...]) -> None:
        """Makes ``kernel`` W (D, width), ``bias`` b (width,) and ``query`` q (width,)."""
        if len(vectors_shape) != 3:
            raise ValueError(f"vectors must be (B, T, D), not {vectors_shape}")
        for name, shape, initializer in (
            ("kernel", (vectors_shape[2], self.width), "glorot_uniform"),
            ("bias", (self.width,), "zeros"),
            ("query", (self.width,), "zeros"),
        ):
            weight = self.add_weight(
                name=name, shape=shape, dtype="float32", autocast=False, initializer=initializer
            )
            setattr(self, name, weight)

    def call(self, vectors: Any, mask: Any) -> Any:
        """Pools; see the class."""
        mask = ops.cast(mask, "bool")
        vectors = ops.where(mask[:, :, None], ops.cast(vectors, "float32"), 0.0)
        # What the query finds in each token: (B, T, width), then (B, T)
        hidden = ops.tanh(ops.matmul(vectors, self.kernel) + self.bias)
        scores = ops.sum(hidden * self.query, axis=-1)
        # Softmax over the tokens that are there, nothing where there is none: (B, T). The largest weight is
        # 1, so that only a row without tokens has a smaller sum.
        scores = ops.where(mask, scores, -1e30)
        largest = ops.stop_gradient(ops.max(scores, axis=1, keepdims=True))
        weights = ops.where(mask, ops.exp(scores - largest), 0.0)
        shares = weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
        # Their weighted sum: (B, D)
        return ops.sum(shares[:, :, None] * vectors, axis=1)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "width": self.width}
