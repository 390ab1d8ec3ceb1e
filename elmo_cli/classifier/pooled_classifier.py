"""The part that is trained: pooled layers become logits."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from elmo_cli.classifier.heads import DenseHead
from elmo_cli.classifier.standardize import Standardize
from elmo_cli.elmo.scalar_mix import ScalarMix


@keras.saving.register_keras_serializable("elmo_cli")
class PooledClassifier(keras.Model):
    """Classifies texts whose layers were embedded and pooled before: standardise, mix, dense head.

    ELMo is frozen, so its vectors are computed once and this small model alone is trained on them.

    Args:
        num_classes: Number of classes C.
        hidden: Widths of the head's hidden layers; empty for a linear classifier.
        dropout: Share of inputs dropped in training, in [0, 1).
        mix_l2: L2 penalty on the weights of the layer mix, at least 0.
        mix_trainable: Whether the mix is learned; otherwise it stays the plain average of the layers.
        standardize: Whether each dimension is standardised with what `adapt` measures on the training
            rows. It is on by default because it lets one learning rate serve every embedding;
            the paper has no such step.
        **kwargs: Those of `keras.Model`.

    Call arguments:
        pooled: float32 (B, L, P).
        training: Whether dropout is at work.

    Returns:
        Logits, float32 (B, C).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        hidden: Sequence[int] = (),
        dropout: float = 0.5,
        mix_l2: float = 0.001,
        mix_trainable: bool = True,
        standardize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)

        # --- Layers ---
        self.standardize_layer = Standardize(name="standardize") if standardize else None
        self.mix = ScalarMix(l2=mix_l2, trainable=mix_trainable, name="mix")
        self.head = DenseHead(num_classes, hidden=hidden, dropout=dropout, name="head")

        # --- Config ---
        self.num_classes = num_classes
        self.hidden = tuple(hidden)
        self.dropout = dropout
        self.mix_l2 = mix_l2
        self.mix_trainable = mix_trainable
        self.standardize = standardize

    # --- Model ---

    def build(self, pooled_shape: tuple[int | None, ...]) -> None:
        """Makes all weights for inputs (B, L, P)."""
        if self.standardize_layer is not None:
            self.standardize_layer.build(pooled_shape)
        self.mix.build(pooled_shape)
        self.head.build((pooled_shape[0], *pooled_shape[2:]))
        self.built = True

    def call(self, pooled: Any, training: bool = False) -> Any:
        """Computes logits; see the class."""
        # Each dimension of each layer to mean 0 and variance 1: (B, L, P)
        if self.standardize_layer is not None:
            pooled = self.standardize_layer(pooled)
        # The layers to one vector (B, P), and that to logits (B, C)
        return self.head(self.mix(pooled), training=training)

    def adapt(self, pooled: NDArray[Any], rows: NDArray[np.integer[Any]] | None = None) -> None:
        """Measures what standardisation needs on the training rows; does nothing when it is off.

        Args:
            pooled: float32 or float16 (R, L, P); see `Standardize.adapt`.
            rows: Which of them to measure, integers (N,); None stands for all.
        """
        if not self.built:
            self.build((None, *pooled.shape[1:]))
        if self.standardize_layer is not None:
            self.standardize_layer.adapt(pooled, rows)

    @property
    def num_trainable(self) -> int:
        """How many numbers training changes."""
        return sum(int(np.prod(weight.shape)) for weight in self.trainable_weights)

    @property
    def num_frozen(self) -> int:
        """How many numbers stay as they are: standardisation's, and the mix where it is not trained."""
        return sum(int(np.prod(weight.shape)) for weight in self.non_trainable_weights)

    # --- Config ---

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {
            "name": self.name,
            "num_classes": self.num_classes,
            "hidden": list(self.hidden),
            "dropout": self.dropout,
            "mix_l2": self.mix_l2,
            "mix_trainable": self.mix_trainable,
            "standardize": self.standardize,
        }
