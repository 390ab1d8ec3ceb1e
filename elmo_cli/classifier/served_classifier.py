"""A whole classifier as one graph: raw texts become labels and probabilities."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from elmo_cli.classifier.graph_tfidf import GraphTfidf
from elmo_cli.classifier.text_classifier import TextClassifier
from elmo_cli.classifier.tfidf_part import TfidfPart
from elmo_cli.elmo.embedder import Embedder
from elmo_cli.elmo.graph_tokenizer import GraphTokenizer

# What lies between the layers of an ELMo of the original size has a tenth of a megabyte for each token.
_TOKENS_AT_ONCE = 8192


class ServedClassifier(keras.layers.Layer):
    """Does what `elmo-predict` does with the texts of a table, without Python and without lookup tables.

    It is made of a trained classifier for one graph; Keras does not save it.

    Args:
        classifier: The classifier.
        embedder: What gives its vectors inside of the graph: its own, or one that gives the same and can be
            exported.
        tokenizer: Name of the tokenizer.
        max_tokens: Tokens kept of a text.
        label_names: The C classes, in the order of their numbers.
        tfidf: The TF-IDF part that was trained with it, if there is one.
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        texts: tf.string (B,), any bytes; what is not UTF-8 is read as U+FFFD. B may be 0.

    Returns:
        A dictionary with ``label`` tf.string (B,), the likeliest class; ``probability`` float32 (B,), its
        probability; ``probabilities`` float32 (B, C), of all classes; ``classes`` tf.string (B, C), their
        names, the same in every row, because a model server wants one row per text in every output.
    """

    def __init__(
        self,
        classifier: TextClassifier,
        embedder: Embedder,
        *,
        tokenizer: str,
        max_tokens: int,
        label_names: Sequence[str],
        tfidf: TfidfPart | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.supports_jit = False  # XLA knows no strings
        self.tokenizer = GraphTokenizer(tokenizer)
        self.max_tokens = max_tokens
        self.embedder = embedder
        self.pooling = classifier.pooling
        self.classifier = classifier.classifier
        self.tfidf = GraphTfidf(tfidf) if tfidf is not None else None
        self.label_names = tuple(label_names)
        self.built = True  # all weights exist already

    def call(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """See the class."""
        num_rows = tf.shape(texts)[0]
        # One text more, so that there is always one; it is dropped in the end.
        probabilities = self._in_pieces(*self._sentences(tf.concat([texts, [""]], axis=0)))[:num_rows]
        names = tf.constant(self.label_names, tf.string)
        return {
            "label": tf.gather(names, tf.argmax(probabilities, axis=1)),
            "probability": tf.reduce_max(probabilities, axis=1),
            "probabilities": probabilities,
            "classes": tf.repeat(names[tf.newaxis], num_rows, axis=0),
        }

    def _sentences(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The tokens of texts, at most `max_tokens` of each, joined by single spaces; their numbers: (B,)."""
        texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        tokens = tf.strings.split(self.tokenizer(texts), " ")[:, : self.max_tokens]
        return tf.strings.reduce_join(tokens, axis=1, separator=" "), tokens.row_lengths()

    def _in_pieces(self, sentences: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Returns the probabilities of sentences, (B, C), worked on some at a time, so that they fit."""
        rows_at_once = tf.maximum(1, _TOKENS_AT_ONCE // tf.cast(tf.reduce_max(lengths), tf.int32))
        num_pieces = -(-tf.size(sentences) // rows_at_once)
        shape = [None, len(self.label_names)]
        pieces = tf.TensorArray(tf.float32, num_pieces, element_shape=shape, infer_shape=False)

        def body(number: tf.Tensor, pieces: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            some = sentences[number * rows_at_once : (number + 1) * rows_at_once]
            return number + 1, pieces.write(number, self._probabilities(some))

        _, pieces = tf.while_loop(
            lambda number, _: number < num_pieces, body, (0, pieces), parallel_iterations=1
        )
        return tf.ensure_shape(pieces.concat(), shape)

    def _probabilities(self, sentences: tf.Tensor) -> tf.Tensor:
        """Returns those of some sentences, (B, C)."""
        layers, mask = self.embedder(sentences)
        logits = self.classifier(self.pooling(layers, mask), training=False)
        probabilities = tf.nn.softmax(logits)
        return probabilities if self.tfidf is None else self.tfidf(probabilities, sentences)


def write_saved_model(served: ServedClassifier, directory: str | Path) -> None:
    """Writes a SavedModel with the signature ``serving_default``: ``texts`` to what `ServedClassifier` gives.

    Args:
        served: The classifier.
        directory: Where to; made if it is missing.

    Raises:
        OSError, tf.errors.OpError: When it cannot be written.
    """
    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "serving_default", served.__call__, input_signature=[tf.TensorSpec([None], tf.string, name="texts")]
    )
    # Variables are found by themselves (those of layers that are tracked, too, would be saved twice).
    for resource in served.embedder.resources:
        archive.track(resource)
    archive.write_out(str(directory), verbose=False)
