"""The part that is trained: the layers of a text become logits."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from elmo_cli.classifier.heads import DenseHead
from elmo_cli.classifier.standardize import Standardize
from elmo_cli.classifier.token_pooling import TokenPooling
from elmo_cli.elmo.scalar_mix import ScalarMix


@keras.saving.register_keras_serializable("elmo_cli")
class PooledClassifier(keras.Model):
    """Classifies texts whose layers were embedded before: standardise, mix or join, pool, dense head.

    ELMo is frozen, so its vectors are computed once and this small model alone is trained on them. What can
    be pooled before, is; a pooling that is learned needs the vectors of all tokens.

    Args:
        num_classes: Number of classes C.
        poolings: What makes one vector of those of the tokens, see `TokenPooling`; empty where the layers
            were pooled before.
        hidden: Widths of the head's hidden layers; empty for a linear classifier.
        dropout: Share of inputs dropped in training, in [0, 1).
        l2: L2 penalty on the weights of a linear classifier, at least 0.
        joined: Whether the layers stand side by side, each scaled by its share and gamma, instead of
            being added up; not with ``poolings``. The head then sees what each layer says by itself.
        mix_l2: L2 penalty on the weights of the layer mix, at least 0.
        mix_trainable: Whether the mix is learned; otherwise it stays the plain average of the layers.
        standardize: Whether each dimension is standardised with what `adapt` measures on the training
            rows. It is on by default because it lets one learning rate serve every embedding;
            the paper has no such step.
        **kwargs: Those of `keras.Model`.

    Call arguments:
        vectors: float32 (B, L, P); with ``poolings`` (B, L, T, D), all zeros where there is no token.
        training: Whether dropout is at work.

    Returns:
        Logits, float32 (B, C).
    """

    def __init__(
        self,
        num_classes: int,
        *,
        poolings: Sequence[str] = (),
        hidden: Sequence[int] = (),
        dropout: float = 0.5,
        l2: float = 0.0,
        joined: bool = False,
        mix_l2: float = 0.001,
        mix_trainable: bool = True,
        standardize: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if joined and poolings:
            raise ValueError("the layers of token vectors are mixed before they are pooled, not joined")

        # --- Layers ---
        self.standardize_layer = Standardize(name="standardize") if standardize else None
        self.mix = ScalarMix(l2=mix_l2, trainable=mix_trainable, name="mix")
        self.pooling = TokenPooling(poolings, name="pooling") if poolings else None
        self.head = DenseHead(num_classes, hidden=hidden, dropout=dropout, l2=l2, name="head")

        # --- Config ---
        self.num_classes = num_classes
        self.poolings = tuple(poolings)
        self.hidden = tuple(hidden)
        self.dropout = dropout
        self.l2 = l2
        self.joined = joined
        self.mix_l2 = mix_l2
        self.mix_trainable = mix_trainable
        self.standardize = standardize

    # --- Model ---

    def build(self, vectors_shape: tuple[int | None, ...]) -> None:
        """Makes all weights for inputs (B, L, P) or (B, L, T, D)."""
        if self.standardize_layer is not None:
            self.standardize_layer.build(vectors_shape)
        self.mix.build(vectors_shape)
        shape = (vectors_shape[0], *vectors_shape[2:])
        if self.joined:
            shape = (vectors_shape[0], math.prod(size or 0 for size in vectors_shape[1:]))
        if self.pooling is not None:
            self.pooling.build(shape)
            shape = self.pooling.pooled_shape(shape)
        self.head.build(shape)
        self.built = True

    def call(self, vectors: Any, training: bool = False) -> Any:
        """Computes logits; see the class."""
        return self.head(self.head_inputs(vectors), training=training)

    def head_inputs(self, vectors: Any) -> Any:
        """Computes what the head sees of each text, float32 (B, ...), from what `call` is given."""
        # Which tokens there are, where there are tokens: (B, T)
        mask = None if self.pooling is None else ops.any(vectors != 0, axis=(1, 3))
        # Each dimension of each layer to mean 0 and variance 1: (B, L, P) or (B, L, T, D)
        if self.standardize_layer is not None:
            vectors = self.standardize_layer(vectors)
        # The layers to one vector, (B, P) or (B, T, D), or side by side: (B, L * P)
        mixed = self._side_by_side(vectors) if self.joined else self.mix(vectors)
        # The tokens to one vector: (B, P)
        return mixed if self.pooling is None else self.pooling(mixed, mask)

    def _side_by_side(self, vectors: Any) -> Any:
        """Scales layers (B, L, P) as the mix would, and joins them: (B, L * P)."""
        scales = self.mix.gamma * self.mix.shares()
        return ops.reshape(vectors * scales[:, None], (-1, math.prod(vectors.shape[1:])))

    def adapt(self, vectors: NDArray[Any], rows: NDArray[np.integer[Any]] | None = None) -> None:
        """Measures what standardisation needs on the training rows; does nothing when it is off.

        Args:
            vectors: float32 or float16 (R, L, P) or (R, L, T, D); see `Standardize.adapt`.
            rows: Which of them to measure, integers (N,); None stands for all.
        """
        if not self.built:
            self.build((None, *vectors.shape[1:]))
        if self.standardize_layer is not None:
            self.standardize_layer.adapt(vectors, rows)

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
            "poolings": list(self.poolings),
            "hidden": list(self.hidden),
            "dropout": self.dropout,
            "l2": self.l2,
            "joined": self.joined,
            "mix_l2": self.mix_l2,
            "mix_trainable": self.mix_trainable,
            "standardize": self.standardize,
        }
