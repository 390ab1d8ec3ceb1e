"""The dense head: one vector per text becomes one logit per class."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("elmo_cli")
class DenseHead(keras.layers.Layer):
    """Turns vectors into logits: dropout, then hidden ReLU layers each with dropout, then a dense layer.

    It works in float32 under every dtype policy: logits of low precision cost accuracy and save nothing.

    Args:
        num_classes: Number of classes C, at least 1.
        hidden: Widths of the hidden layers; empty for a linear classifier.
        dropout: Share of inputs dropped in training before each dense layer, in [0, 1).
        l2: λ of a penalty ``λ Σ w²`` on the weights of a linear classifier; hidden layers have none.
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        vectors: Floats (B, P).
        training: Whether dropout is at work.

    Returns:
        Logits, float32 (B, C).

    Raises:
        ValueError: When a number is out of its range.

    Reference:
        Dropout 0.5 on ELMo vectors: Peters et al. 2018, section 3.4.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        hidden: Sequence[int] = (),
        dropout: float = 0.5,
        l2: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if num_classes < 1 or any(width < 1 for width in hidden):
            raise ValueError(f"num_classes and widths must be at least 1, not {num_classes}, {tuple(hidden)}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        if l2 < 0 or (l2 and hidden):
            raise ValueError(f"l2 must be at least 0, and 0 with hidden layers, not {l2}")
        self.num_classes = num_classes
        self.hidden = tuple(hidden)
        self.dropout = dropout
        self.l2 = l2
        self.dropout_layers = [
            keras.layers.Dropout(dropout, dtype="float32", name=f"dropout_{i}")
            for i in range(len(self.hidden) + 1)
        ]
        self.hidden_layers = [
            keras.layers.Dense(width, activation="relu", dtype="float32", name=f"hidden_{i}")
            for i, width in enumerate(self.hidden)
        ]
        penalty = (
            {"kernel_initializer": "zeros", "kernel_regularizer": keras.regularizers.L2(l2)} if l2 else {}
        )
        self.logits_layer = keras.layers.Dense(num_classes, dtype="float32", name="logits", **penalty)

    def build(self, vectors_shape: tuple[int | None, ...]) -> None:
        """Makes the weights of the dense layers."""
        shape = tuple(vectors_shape)
        for layer in self.hidden_layers:
            layer.build(shape)
            shape = (*shape[:-1], layer.units)
        self.logits_layer.build(shape)

    def call(self, vectors: Any, training: bool = False) -> Any:
        """Computes logits; see the class."""
        vectors = ops.cast(vectors, "float32")
        # Each hidden layer: (B, width)
        for dropout, dense in zip(self.dropout_layers, self.hidden_layers, strict=False):
            vectors = dense(dropout(vectors, training=training))
        # Logits: (B, C)
        return self.logits_layer(self.dropout_layers[-1](vectors, training=training))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {
            **super().get_config(),
            "num_classes": self.num_classes,
            "hidden": list(self.hidden),
            "dropout": self.dropout,
            "l2": self.l2,
        }
