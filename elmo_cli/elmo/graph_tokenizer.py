"""The tokenizers of text/ inside a TensorFlow graph, for serving where Python does not run."""

from typing import Any

import keras
import tensorflow as tf

from elmo_cli.text.tokens import tokenizer as find_tokenizer


@keras.saving.register_keras_serializable("elmo_cli")
class GraphTokenizer(keras.layers.Layer):
    """Splits texts into tokens as `elmo_cli.text.tokens.Tokenizer` does, with the same substitutions.

    Args:
        tokenizer: ``treebank`` or ``whitespace``.
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        texts: tf.string of any shape, UTF-8.

    Returns:
        tf.string of the same shape: the tokens of each text joined by single spaces.

    Raises:
        ConfigError: When there is no tokenizer of that name.
    """

    def __init__(self, tokenizer: str = "treebank", **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        self.tokenizer = tokenizer
        self._substitutions = find_tokenizer(tokenizer).substitutions
        self.supports_jit = False  # XLA knows no strings

    def call(self, texts: tf.Tensor) -> tf.Tensor:
        """See the class."""
        for pattern, replacement in self._substitutions:
            texts = tf.strings.regex_replace(texts, pattern, replacement)
        return texts

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of ``__init__``."""
        return {**super().get_config(), "tokenizer": self.tokenizer}
