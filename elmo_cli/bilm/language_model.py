"""The biLM with its two next-token heads: what pre-training trains."""

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.sampled_softmax import sampled_softmax_losses


@keras.saving.register_keras_serializable("elmo_cli")
class LanguageModel(keras.Model):
    """Predicts each token from those before it and, in the other direction, from those after it.

    Both directions share the softmax weights, as in the paper. Training scores the true token
    against sampled ones; perplexity is measured over the whole vocabulary.

    Args:
        bilm: The network below the heads.
        vocabulary_size: Number V of target words, the most frequent first.
        dropout: Share of what each LSTM layer and the softmax read that is dropped in training, in [0, 1).

    Call arguments:
        inputs: Dictionary of ``character_ids`` int32 (M, W), ``index`` int32 (B, T + 2) and
            ``targets`` int32 (B, T + 2): the vocabulary ids of all positions, sentence marks
            included. All sentences of a batch have the same length. In training also ``negatives``
            int32 (K,), distinct, and ``log_expected`` float32 (V,): the logarithm of how often a
            batch's sample is expected to hold each word.
        training: Whether a gradient will be taken.

    Returns:
        float32 (2,): mean negative log likelihood per token, forward and backward, in nats.

    Reference: Jozefowicz et al. 2016, arXiv 1602.02410; Peters et al. 2018, arXiv 1802.05365.
    """

    def __init__(self, bilm: BiLM, vocabulary_size: int, *, dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not bilm.options.sentence_marks:
            raise ValueError("a language model predicts sentence marks, but this network reads none")
        # Layers
        self.bilm = bilm
        self.vocabulary_size = vocabulary_size
        self.dropout = dropout
        self.drop = keras.layers.Dropout(dropout) if dropout else None
        width = bilm.options.lstm.projection_dim
        self.softmax_kernel = self.add_weight(
            shape=(vocabulary_size, width),
            initializer=keras.initializers.RandomNormal(stddev=1.0 / np.sqrt(width)),
            name="softmax_kernel",
        )
        self.softmax_bias = self.add_weight(
            shape=(vocabulary_size,), initializer="zeros", name="softmax_bias"
        )

    # Model

    def build(self, *_: Any, **__: Any) -> None:
        """Builds the network below; the heads have their weights already."""
        self.bilm.build()
        self.built = True

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        """Returns the losses of both directions; see the class."""
        directions = self._hidden_and_targets(inputs, training=bool(training))
        if "negatives" in inputs:
            losses = self._sampled_losses(directions, inputs["negatives"], inputs["log_expected"])
        else:
            losses = [self._full_losses(*direction) for direction in directions]
        return ops.stack([ops.mean(one) for one in losses])

    def _hidden_and_targets(self, inputs: dict[str, Any], *, training: bool) -> list[tuple[Any, Any]]:
        """Returns float (N, P) and int32 (N,) of all positions, forward and backward.

        What is computed for each direction by itself keeps two processor cores busy.
        """
        index = inputs["index"]
        num_tokens = ops.zeros_like(index[:, 0]) + ops.shape(index)[1] - 2
        drop = functools.partial(self.drop, training=True) if self.drop and training else None
        directions = self.bilm.read(inputs["character_ids"], index, num_tokens, training=training, drop=drop)
        targets = ops.transpose(inputs["targets"])
        # Forward looks from a position to the next one, backward to the one before.
        width = self.bilm.options.lstm.projection_dim
        pairs = []
        steps, batch_size, _ = ops.shape(directions.forward[-1])
        for hidden, first, wanted in (
            (directions.forward[-1], 0, targets[1:]),
            (directions.backward[-1], 1, targets[:-1]),
        ):
            # TensorFlow's gradient of a slice is several times as fast as that of ``hidden[:-1]``.
            hidden = ops.slice(hidden, (first, 0, 0), (steps - 1, batch_size, width))
            hidden = ops.reshape(hidden, (-1, width))
            pairs.append((drop(hidden) if drop else hidden, ops.reshape(wanted, (-1,))))
        return pairs

    def _sampled_losses(
        self, directions: list[tuple[Any, Any]], negatives: Any, log_expected: Any
    ) -> list[Any]:
        """Cross-entropy over the true word and the sample, (N,) each; importance-corrected logits."""
        corrected = self.softmax_bias - log_expected
        kernel, bias = ops.take(self.softmax_kernel, negatives, axis=0), ops.take(corrected, negatives)
        losses = []
        for hidden, targets in directions:
            wanted = ops.take(self.softmax_kernel, targets, axis=0)
            true = ops.sum(ops.cast(hidden, "float32") * wanted, axis=-1) + ops.take(corrected, targets)
            losses.append(sampled_softmax_losses(hidden, true, targets, kernel, bias, negatives))
        return losses

    def _full_losses(self, hidden: Any, targets: Any) -> Any:
        """Cross-entropy over the whole vocabulary, (N,)."""
        logits = ops.matmul(hidden, ops.cast(ops.transpose(self.softmax_kernel), hidden.dtype))
        logits = ops.cast(logits, "float32") + self.softmax_bias
        return ops.logsumexp(logits, axis=-1) - ops.take_along_axis(logits, targets[:, None], axis=1)[:, 0]

    def matrices(self, variable: keras.Variable) -> tuple[int, int] | None:
        """Tells of which equal matrices a trainable variable consists, for optimizers that move matrices.

        Args:
            variable: A trainable variable of the model.

        Returns:
            How many stand one below the other and side by side, or None where it is a table, a filter or a
            vector. The kernel of an LSTM is one matrix per gate for its input, and one for its last output.
        """
        if variable.path in {self.softmax_kernel.path, self.bilm.character_cnn.character_embedding.path}:
            return None
        cells = (*self.bilm.forward_cells, *self.bilm.backward_cells)
        if variable.path in {cell.kernel.path for cell in cells}:
            return 2, 4
        return (1, 1) if len(variable.shape) == 2 else None

    # Config

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {
            **super().get_config(),
            "bilm": keras.saving.serialize_keras_object(self.bilm),
            "vocabulary_size": self.vocabulary_size,
            "dropout": self.dropout,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "LanguageModel":
        """Builds the model from `get_config`'s dictionary."""
        config = dict(config)
        bilm = keras.saving.deserialize_keras_object(config.pop("bilm"))
        return cls(bilm, **config)
