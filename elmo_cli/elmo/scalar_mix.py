"""The learned mix of the layers of ELMo: gamma times their softmax-weighted sum."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("elmo_cli")
class ScalarMix(keras.layers.Layer):
    """Mixes the layers of an embedding into one: ``gamma * sum_l softmax(w)_l * layer_l``.

    The weights ``w`` (L,) start at zero, so that the mix starts as the plain average of the layers; the
    scale ``gamma`` () starts at one. Both, and the sum, are float32 under every dtype policy: they are a
    handful of numbers on which everything after them depends.

    The L2 penalty falls on ``w`` alone. The paper adds λ‖w‖² to the loss, which holds the mix near the
    average of all layers; the same penalty on ``gamma`` would pull the whole vector towards zero, and
    the authors' own code leaves ``gamma`` free.

    Args:
        l2: λ of that penalty, at least 0.
        **kwargs: Those of `keras.layers.Layer`; ``trainable=False`` keeps ``w`` and ``gamma`` fixed.

    Call arguments:
        layers: Floats (B, L, ...); L must be known when the layer is built.

    Returns:
        float32 (B, ...), the same shape without the layer axis.

    Raises:
        ValueError: When ``l2`` is negative, or the number of layers is not known at build.

    Reference:
        Peters et al. 2018, "Deep contextualized word representations", equation 1 and section 3.4;
        ``weight_layers`` of allenai/bilm-tf.
    """

    def __init__(self, l2: float = 0.001, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        if l2 < 0:
            raise ValueError(f"l2 must be at least 0, not {l2}")
        self.l2 = l2

    def build(self, layers_shape: tuple[int | None, ...]) -> None:
        """Makes ``w`` (L,) and ``gamma`` ()."""
        if len(layers_shape) < 2 or layers_shape[1] is None:
            raise ValueError(f"layers must be (B, L, ...) with a known L, not {layers_shape}")
        self.w = self.add_weight(
            name="w",
            shape=(layers_shape[1],),
            dtype="float32",
            autocast=False,
            initializer="zeros",
            regularizer=keras.regularizers.L2(self.l2) if self.l2 else None,
        )
        self.gamma = self.add_weight(
            name="gamma", shape=(), dtype="float32", autocast=False, initializer="ones"
        )

    def call(self, layers: Any) -> Any:
        """Mixes the layers; see the class."""
        layers = ops.cast(layers, "float32")
        # One weight per layer, broadcast over everything after the layer axis: (1, L, 1, ...)
        weights = ops.reshape(self.shares(), (1, -1) + (1,) * (len(layers.shape) - 2))
        # Weighted sum over the layer axis: (B, ...)
        return self.gamma * ops.sum(weights * layers, axis=1)

    def shares(self) -> Any:
        """Returns what each layer counts in the sum: float32 (L,), at least 0, together 1."""
        # Of one layer alone nothing is learned, and Keras warns of a softmax over it.
        return ops.softmax(self.w) if self.w.shape[0] > 1 else ops.ones_like(self.w)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "l2": self.l2}
