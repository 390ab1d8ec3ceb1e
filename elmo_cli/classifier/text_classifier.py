"""The whole model: texts become logits."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from elmo_cli.classifier.encoding import Encoded, Encoder
from elmo_cli.classifier.pooled_classifier import PooledClassifier
from elmo_cli.classifier.pooling import MaskedPooling, MaskedTokens
from elmo_cli.config import FIXED_POOLINGS
from elmo_cli.elmo.embedder import Embedder
from elmo_cli.text.sentences import Sentences

CLASSIFY_ROWS, CLASSIFY_BYTES = 1024, 1 << 26  # most at once; token vectors take far more than pooled ones


@keras.saving.register_keras_serializable("elmo_cli")
class TextClassifier(keras.Model):
    """A frozen ELMo with pooling, a mix of its layers and a dense head on top.

    There are two ways to the same logits: calling the model with texts, or `encode` once and then
    `classify` (or training ``self.classifier``, the only part with trainable weights) on the vectors.

    Args:
        embedder: Where the vectors come from; it is frozen.
        num_classes: Number of classes C.
        poolings: Which of ``"mean"``, ``"max"`` and ``"attention"`` make one vector of those of the tokens.
            With attention, which is learned, all is pooled after the mix; otherwise before. An embedder
            that gives one vector for the whole text is taken as it is: mean alone.
        hidden: See `PooledClassifier`, as for all that follow.
        dropout: Share of inputs dropped in training, in [0, 1).
        l2: L2 penalty on the weights of a linear classifier.
        joined: Whether the layers stand side by side; with attention they are mixed in any case.
        mix_l2: L2 penalty on the weights of the layer mix.
        mix_trainable: Whether the mix is learned; not with ``elmo.trainable: none``.
        standardize: Whether pooled vectors are standardised.
        **kwargs: Those of `keras.Model`.

    Call arguments:
        sentences: Space-joined texts, tf.string (B,), B at least 1.
        training: Whether dropout is at work.

    Returns:
        Logits, float32 (B, C).
    """

    def __init__(
        self,
        embedder: Embedder,
        num_classes: int,
        *,
        poolings: Sequence[str] = FIXED_POOLINGS,
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

        # --- Layers ---
        embedder.trainable = False
        self.embedder = embedder
        self.poolings = tuple(poolings) if embedder.token_level else ("mean",)
        learned = "attention" in self.poolings
        self.pooling = (
            MaskedTokens(name="tokens") if learned else MaskedPooling(self.poolings, name="pooling")
        )
        self.classifier = PooledClassifier(
            num_classes,
            poolings=self.poolings if learned else (),
            hidden=hidden,
            dropout=dropout,
            l2=l2,
            joined=joined and not learned,
            mix_l2=mix_l2,
            mix_trainable=mix_trainable,
            standardize=standardize,
            name="classifier",
        )
        self.encoder = Encoder(embedder, self.pooling)
        self.classifier.build((None, *self.encoder.shape))

    # --- Model ---

    def build(self, sentences_shape: tuple[int | None, ...]) -> None:
        """Does nothing: all weights exist already."""
        self.built = True

    def call(self, sentences: Any, training: bool = False) -> Any:
        """Computes logits from texts; see the class."""
        # Token vectors of each layer (B, L, T, D) and which of them stand for tokens (B, T)
        layers, mask = self.embedder(sentences)
        # One vector for each layer (B, L, P), or all of them without padding, then logits (B, C)
        return self.classifier(self.pooling(layers, mask), training=training)

    def encode(self, sentences: Sentences, **options: Any) -> Encoded:
        """Computes the vectors of sentences, each distinct one once; `Encoder` has the options."""
        return self.encoder(sentences, **options)

    def classify(self, vectors: Any) -> Any:
        """Computes logits, float32 (B, C), from vectors of `encode`, float32 (B, L, P) or (B, L, T, D)."""
        return self.classifier(vectors, training=False)

    def probabilities(self, encoded: Encoded) -> NDArray[np.float32]:
        """Computes the probability of each class from what `encode` made of N sentences.

        Args:
            encoded: The vectors; N may be 0.

        Returns:
            float32 (N, C); each row sums to 1.
        """
        vectors = encoded.vectors
        parts = [np.empty((0, self.classifier.num_classes), np.float32)]
        step = max(1, min(CLASSIFY_ROWS, CLASSIFY_BYTES // (4 * math.prod(vectors.shape[1:]))))
        for start in range(0, len(vectors), step):
            chunk = vectors[start : start + step].astype(np.float32)
            parts.append(ops.convert_to_numpy(ops.softmax(self.classify(chunk))))
        return np.concatenate(parts)[encoded.rows]

    def on(self, embedder: Embedder) -> "TextClassifier":
        """Returns a copy with what was learned, on another embedder with vectors of the same shape."""
        copy = type(self).from_config({**self.get_config(), "embedder": embedder})
        copy.classifier.set_weights(self.classifier.get_weights())
        return copy

    @property
    def num_trainable(self) -> int:
        """How many numbers training changes."""
        return self.classifier.num_trainable

    @property
    def num_frozen(self) -> int:
        """How many numbers stay as they are: all of ELMo, and what is frozen in the classifier."""
        return self.embedder.num_parameters + self.classifier.num_frozen

    # --- Config ---

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        config = {key: value for key, value in self.classifier.get_config().items() if key != "name"}
        return {
            "name": self.name,
            "embedder": keras.saving.serialize_keras_object(self.embedder),
            **config,
            "poolings": list(self.poolings),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "TextClassifier":
        """Builds a classifier, its head untrained, from `get_config`."""
        embedder = config["embedder"]
        if isinstance(embedder, dict):
            embedder = keras.saving.deserialize_keras_object(embedder, custom_objects=custom_objects)
        return cls(**{**config, "embedder": embedder})
