"""The TF-IDF part of a classifier inside a TensorFlow graph, for serving where Python does not run."""

import itertools
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from elmo_cli.classifier.blend import LEAST_PROBABILITY
from elmo_cli.classifier.tfidf_part import TfidfPart
from elmo_cli.elmo.graph_lower_case import GraphLowerCase
from elmo_cli.text.tfidf import CHARACTERS, MARK

_NUM_FINGERPRINTS = 2**63 - 1


class GraphTfidf(keras.layers.Layer):
    """Does what `TfidfPart.join` does.

    There is no lookup table, which would have to be initialised by whoever loads the graph: each n-gram gets
    a fingerprint of 63 bits, which is found by bisection among those of the vocabulary; then the n-grams
    themselves are compared, so that an unknown one can never be taken for a known one. The layer is made from
    a part for one graph; Keras does not save it.

    Args:
        part: The part.
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        probabilities: Those of ELMo's classifier, float32 (B, C).
        texts: Space-joined, tf.string (B,), of the same rows.

    Returns:
        float32 (B, C); each row sums to 1.
    """

    def __init__(self, part: TfidfPart, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", "autocast": False, **kwargs})
        self.supports_jit = False  # XLA knows no strings
        self.lower_case = GraphLowerCase()
        self._shares = part.elmo_share, part.tfidf_share
        ngrams = np.array([each.encode() for each in part.tfidf.vocabulary], object)
        # The vocabulary in the order of its fingerprints, under the first key that gives each its own.
        for self._key in itertools.count():
            fingerprints = self._fingerprints(tf.constant(ngrams, tf.string)).numpy()
            if len(np.unique(fingerprints)) == len(fingerprints):
                break
        order = np.argsort(fingerprints)
        self._ngrams = ngrams[order]
        self._of_characters = part.tfidf.of_characters[order].astype(np.int64)
        for name, value in (
            ("known", fingerprints[order]),
            ("idf", part.tfidf.idf[order]),
            ("kernel", part.kernel[order]),
            ("bias", part.bias),
        ):
            weight = self.add_weight(
                name=name, shape=value.shape, dtype=value.dtype.name, initializer="zeros", trainable=False
            )
            weight.assign(value)
            setattr(self, name, weight)
        self.built = True

    def call(self, probabilities: Any, texts: tf.Tensor) -> Any:
        """See the class."""
        elmo_share, tfidf_share = self._shares
        probabilities = tf.cast(probabilities, tf.float64)
        joined = elmo_share * tf.math.log(tf.maximum(probabilities, LEAST_PROBABILITY))
        joined += tfidf_share * tf.nn.log_softmax(tf.cast(self.logits(texts), tf.float64))
        return tf.cast(tf.nn.softmax(joined), tf.float32)

    def logits(self, texts: tf.Tensor) -> tf.Tensor:
        """Computes logits of this part alone, float32 (B, C), from space-joined texts, tf.string (B,)."""
        num_rows = tf.shape(texts)[0]
        logits = tf.repeat(self.bias[tf.newaxis], num_rows, axis=0)
        if not len(self._ngrams):
            return logits
        # Words and pairs of neighbours: ragged (B, None), then one after another (N,)
        words = tf.strings.split(self.lower_case(texts), " ")
        of_words = tf.strings.ngrams(words, (1, 2), separator=" ")
        # Parts of words: ragged (words, None)
        characters = tf.strings.unicode_split(tf.strings.join([" ", words.flat_values, " "]), "UTF-8")
        parts = tf.strings.ngrams(characters, CHARACTERS, separator="")
        found = tf.concat([of_words.flat_values, tf.strings.join([MARK, parts.flat_values])], axis=0)
        rows_of_parts = tf.gather(words.value_rowids(), parts.value_rowids())
        rows = tf.concat([of_words.value_rowids(), rows_of_parts], axis=0)
        # Those of the vocabulary, by their places
        places = tf.searchsorted(self.known, self._fingerprints(found), out_type=tf.int64)
        places = tf.minimum(places, len(self._ngrams) - 1)
        is_known = tf.gather(tf.constant(self._ngrams, tf.string), places) == found
        places, rows = tf.boolean_mask(places, is_known), tf.boolean_mask(rows, is_known)
        # Each one of a row once, with the number of times it is there
        cells, _, counts = tf.unique_with_counts(rows * len(self._ngrams) + places)
        rows, places = cells // len(self._ngrams), cells % len(self._ngrams)
        values = (1.0 + tf.math.log(tf.cast(counts, tf.float32))) * tf.gather(self.idf, places)
        # Either kind of each row to length 1; a row without known n-grams has the bias alone.
        kinds = 2 * rows + tf.gather(tf.constant(self._of_characters, tf.int64), places)
        lengths = tf.sqrt(tf.math.unsorted_segment_sum(values**2, kinds, 2 * num_rows))
        values /= tf.gather(lengths, kinds)
        weighed = values[:, tf.newaxis] * tf.gather(self.kernel, places)
        return logits + tf.math.unsorted_segment_sum(weighed, rows, num_rows)

    def _fingerprints(self, ngrams: tf.Tensor) -> tf.Tensor:
        """Numbers from 0 to 2^63 - 2, int64 (N,), from n-grams tf.string (N,)."""
        return tf.strings.to_hash_bucket_strong(ngrams, _NUM_FINGERPRINTS, key=[self._key, 0])
