"""The native biLM behind the contract."""

from typing import Any

import keras
import tensorflow as tf

from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.weights import read_weights
from elmo_cli.elmo.embedder import Embedder
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import SourceError


@keras.saving.register_keras_serializable("elmo_cli")
class BiLMEmbedder(Embedder):
    """Reads options.json and HDF5 weights into our own network.

    Args:
        source: A source of kind ``bilm``.

    Call arguments:
        sentences: string (B,), tokens joined by single spaces.

    Returns:
        layers float32 (B, L, T, 2P) and mask bool (B, T); see `Embedder`. Layer 0 is the token vector
        twice, the others are the two directions side by side.

    Raises:
        SourceError: If options or weights cannot be read or do not belong together.
    """

    def __init__(self, *, source: ElmoSource, **kwargs: Any) -> None:
        super().__init__(source=source, **kwargs)
        if source.options_path is None or source.weights_path is None:
            raise SourceError(f"{source.handle}: options or weights of the biLM are missing.")
        options = BiLMOptions.from_json(source.options_path)
        self.bilm = BiLM(options, name="bilm", dtype=self.dtype_policy, trainable=False)
        read_weights(self.bilm, source.weights_path)
        self.num_layers = options.num_layers
        self.dim = options.dim
        self.token_level = True
        self.num_variables = len(self.bilm.weights)
        self.num_parameters = self.bilm.count_params()

    def build(self, sentences_shape: tuple[int | None, ...]) -> None:
        """Does nothing: the network was built when its weights were read."""
        self.built = True

    def call(self, sentences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the class."""
        cnn = self.bilm.options.char_cnn
        characters = sentence_characters(sentences, cnn.max_characters_per_token, cnn.max_filter_width)
        layers = self.bilm(*characters)
        return layers, tf.sequence_mask(characters.lengths, tf.shape(layers)[2])
