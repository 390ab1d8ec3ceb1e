"""The native biLM behind the contract."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.bilm.frozen import FrozenBiLM
from elmo_cli.bilm.lanes import MAX_LANES
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.weights import read_weights
from elmo_cli.elmo.embedder import Embedder, Reader
from elmo_cli.elmo.precision import Precision
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import SourceError

# Tokens times width of the LSTM from which compiling the gates, some tenths of a second, pays.
WORTH_COMPILING = 20_000 * 768


@keras.saving.register_keras_serializable("elmo_cli")
class BiLMEmbedder(Embedder):
    """Reads options.json and HDF5 weights into our own network.

    Args:
        source: A source of kind ``bilm``.
        precision: Of the weights and products, ``float32`` or ``bfloat16``.

    Call arguments:
        sentences: string (B,), tokens joined by single spaces.

    Returns:
        layers float32 (B, L, T, 2P) and mask bool (B, T); see `Embedder`. Layer 0 is the token vector
        twice, the others are the two directions side by side.

    Raises:
        SourceError: If options or weights cannot be read or do not belong together.
    """

    def __init__(self, *, source: ElmoSource, precision: Precision = "float32", **kwargs: Any) -> None:
        super().__init__(source=source, **kwargs)
        if source.options_path is None or source.weights_path is None:
            raise SourceError(f"{source.handle}: options or weights of the biLM are missing.")
        options = BiLMOptions.from_json(source.options_path)
        self.bilm = BiLM(options, "zeros", name="bilm", dtype=precision, trainable=False)
        read_weights(self.bilm, source.weights_path)
        self.num_layers = options.num_layers
        self.dim = options.dim
        self.token_level = True
        self.num_variables = len(self.bilm.weights)
        self.num_parameters = self.bilm.count_params()
        self.precision = precision
        self.full_rows = MAX_LANES
        # Layers, copied about four times on their way to be pooled, and the first layer's gates, both ways,
        # of about every third token.
        num_bytes = tf.as_dtype(precision).size
        self.token_bytes = 16 * self.num_layers * self.dim + 3 * num_bytes * options.lstm.dim
        self._frozen: FrozenBiLM | None = None

    def build(self, sentences_shape: tuple[int | None, ...]) -> None:
        """Does nothing: the network was built when its weights were read."""
        self.built = True

    def call(self, sentences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the class."""
        options, cnn = self.bilm.options, self.bilm.options.char_cnn
        characters = sentence_characters(
            sentences, cnn.max_characters_per_token, cnn.max_filter_width, marks=options.sentence_marks
        )
        layers = self.bilm(*characters)
        return layers, tf.sequence_mask(characters.lengths, tf.shape(layers)[2])

    def reader(self, texts: NDArray[np.object_]) -> Reader:
        """See `Embedder.reader`: each word is convolved once, sentences are read in lanes."""
        if self._frozen is None:
            self._frozen = FrozenBiLM(self.bilm)
        frozen = self._frozen
        words: dict[str, int] = {}
        numbers = [
            np.array([words.setdefault(word, len(words)) for word in text.split(" ")], np.int32)
            for text in texts
        ]
        vectors = frozen.token_vectors(list(words))
        num_tokens = sum(map(len, numbers))
        compiled = num_tokens * self.bilm.options.lstm.dim >= WORTH_COMPILING

        def read(rows: NDArray[np.int64]) -> tuple[tf.Tensor, tf.Tensor]:
            chosen = [numbers[row] for row in rows]
            lengths = np.array([len(tokens) for tokens in chosen], np.int32)
            layers = frozen.layers(vectors, np.concatenate(chosen), lengths, compiled=compiled)
            return layers, tf.sequence_mask(lengths)

        return read

    def get_config(self) -> dict[str, Any]:
        """Returns what the contract says, and the precision."""
        return {**super().get_config(), "precision": self.precision}
