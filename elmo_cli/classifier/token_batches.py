"""Texts as what a biLM in training reads: words spelled once, sentences as rows of words."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.bilm.characters import sentence_marks, token_characters
from elmo_cli.bilm.options import BiLMOptions

_MARKS = 2  # rows 0 and 1: begin and end of a sentence
_SPELLED_AT_ONCE = 4096


class TokenBatches:
    """Makes batches of some texts, whose words are spelled once.

    Args:
        texts: Space-joined texts, str (N,).
        options: Of the network that reads them.

    Attributes:
        lengths: Tokens of each text, at least 1, int32 (N,).
        characters: How all distinct words are spelled, int16 (V, W); rows 0 and 1 are the sentence marks.
    """

    def __init__(self, texts: NDArray[np.object_], options: BiLMOptions) -> None:
        self.options = options
        numbers: dict[str, int] = {}
        self._texts = [
            np.array([numbers.setdefault(word, _MARKS + len(numbers)) for word in text.split(" ")], np.int32)
            for text in texts
        ]
        self.lengths = np.array([len(words) for words in self._texts], np.int32)
        self.characters = _spell(list(numbers), options.char_cnn.max_characters_per_token)
        # A word's letters end with the mark of its end.
        self._num_bytes = np.array([0, 0, *(len(word.encode()) for word in numbers)], np.int32)

    def batch(
        self, rows: NDArray[np.int64], vectors: NDArray[Any] | None = None
    ) -> Mapping[str, NDArray[Any]]:
        """Returns what `TrainableClassifier` is called with.

        Args:
            rows: Numbers of texts, int64 (B,).
            vectors: Context-free vectors of all words, (V, P), where those are known already.

        Returns:
            ``index`` int32 (B, T + 2) and ``lengths`` int32 (B,) as `BiLM` takes them, with the batch's
            distinct words as ``character_ids`` int32 (M, W), or as ``token_vectors`` (M, P) where ``vectors``
            are given.
        """
        lengths = self.lengths[rows]
        index = np.zeros((len(rows), int(lengths.max()) + 2), np.int32)
        for place, row in enumerate(rows):
            index[place, 1 : lengths[place] + 1] = self._texts[row]
            index[place, lengths[place] + 1] = 1
        if not self.options.sentence_marks:
            index = index[:, 1:-1]
        distinct, inverse = np.unique(index, return_inverse=True)
        sentences = {"index": inverse.reshape(index.shape).astype(np.int32), "lengths": lengths}
        if vectors is not None:
            return {"token_vectors": vectors[distinct], **sentences}
        # Letters up to the longest word and one window of padding; see `characters.sentence_characters`.
        cnn = self.options.char_cnn
        width = max(1, int(self._num_bytes[distinct].max())) + 2 + cnn.max_filter_width
        return {"character_ids": self.characters[distinct, :width].astype(np.int32), **sentences}


def _spell(words: list[str], width: int) -> NDArray[np.int16]:
    parts = [sentence_marks(width)]
    for first in range(0, len(words), _SPELLED_AT_ONCE):
        some = tf.constant(words[first : first + _SPELLED_AT_ONCE], tf.string)
        parts.append(token_characters(some, width).numpy())
    return np.concatenate(parts).astype(np.int16)
