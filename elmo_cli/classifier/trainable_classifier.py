"""A biLM and a classifier on top of it that learn together: characters become logits."""

import functools
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from elmo_cli.bilm.network import BiLM
from elmo_cli.classifier.pooled_classifier import PooledClassifier
from elmo_cli.classifier.pooling import MaskedPooling, MaskedTokens


class TrainableClassifier(keras.Model):
    """Computes what `TextClassifier` computes, with a gradient for the weights of ELMo, too.

    It shares the layers it is given: what it learns, they have learned.

    Args:
        bilm: Built, trainable, with float32 weights.
        pooling: Makes one vector per layer, or keeps those of all tokens.
        classifier: Built, with what it learned of the frozen network's vectors.
        dropout: Share of what each LSTM layer reads that is dropped in training, in [0, 1).
        seed: Of that.
        **kwargs: Those of `keras.Model`.

    Call arguments:
        batch: From `TokenBatches.batch`.
        training: Whether a gradient will be taken, and dropout is at work.
        num_frozen: How many layers of ELMo, the token layer first, get no gradient; with ``token_vectors``
            in the batch at least one.

    Returns:
        Logits, float32 (B, C).
    """

    def __init__(
        self,
        bilm: BiLM,
        pooling: MaskedPooling | MaskedTokens,
        classifier: PooledClassifier,
        *,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)

        # --- Layers ---
        self.bilm = bilm
        self.pooling = pooling
        self.classifier = classifier
        self.drop = keras.layers.Dropout(dropout, seed=seed, name="drop") if dropout else None

    # --- Model ---

    def build(self, *_: Any, **__: Any) -> None:
        """Does nothing: all weights exist already."""
        self.built = True

    def call(self, batch: Mapping[str, Any], training: bool = False, num_frozen: int = 0) -> Any:
        """Computes logits; see the class."""
        # Context-free vectors of the batch's distinct words: (M, P)
        tokens = batch.get("token_vectors")
        if tokens is None:
            # As in training also without a gradient: it takes less memory.
            tokens = self.bilm.character_cnn(batch["character_ids"], training=True)
        # Vectors of each layer (B, L, T, 2P) and which of them stand for tokens (B, T)
        drop = functools.partial(self.drop, training=True) if self.drop is not None and training else None
        layers = self.bilm.layers_of(
            tokens, batch["index"], batch["lengths"], training=training, num_frozen=num_frozen, drop=drop
        )
        mask = tf.sequence_mask(batch["lengths"], tf.shape(layers)[2])
        # One vector for each layer (B, L, P), or all of them without padding, then logits (B, C)
        return self.classifier(self.pooling(layers, mask), training=training)

    def layer_variables(self) -> list[list[keras.Variable]]:
        """Returns the variables of each layer of ELMo, the token layer first."""
        cells = zip(self.bilm.forward_cells, self.bilm.backward_cells, strict=True)
        lstms = [[*one.trainable_variables, *other.trainable_variables] for one, other in cells]
        return [self.bilm.character_cnn.trainable_variables, *lstms]
