"""Python's lower case inside a TensorFlow graph, for serving where Python does not run."""

from typing import Any

import keras
import tensorflow as tf

from elmo_cli.text.lower_case import LowerCase


@keras.saving.register_keras_serializable("elmo_cli")
class GraphLowerCase(keras.layers.Layer):
    """Lower-cases texts as ``str.lower`` of the Python that makes the layer does.

    Args:
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        texts: tf.string (B,), valid UTF-8.

    Returns:
        tf.string (B,).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        self._rules = LowerCase.of_this_python()
        self.supports_jit = False  # XLA knows no strings

    def call(self, texts: tf.Tensor) -> tf.Tensor:
        """See the class."""
        for pattern, replacement in self._rules.substitutions:
            texts = tf.strings.regex_replace(texts, pattern, replacement)
        # Characters, ragged: (B, None), then all of them in a row: (N,)
        characters = tf.strings.unicode_decode(texts, "UTF-8")
        codes = characters.flat_values
        # The place of each one in the table, where it is there
        capitals = tf.constant(self._rules.capitals, tf.int32)
        places = tf.minimum(tf.searchsorted(capitals, codes), len(self._rules.capitals) - 1)
        small = tf.gather(tf.constant(self._rules.small, tf.int32), places)
        codes = tf.where(tf.gather(capitals, places) == codes, small, codes)
        return tf.strings.unicode_encode(characters.with_flat_values(codes), "UTF-8")
