"""Tokens as character ids, made inside a TensorFlow graph; every special id lives here.

A token is its UTF-8 bytes between a begin and an end mark. Ids are those of bilm-tf's
`UnicodeCharsVocabulary`; AllenNLP adds one to each to keep 0 for masked tokens, which do not
exist here: masks are carried by lengths.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

NUM_CHARACTERS = 261
SENTENCE_BEGIN, SENTENCE_END, TOKEN_BEGIN, TOKEN_END, PADDING = 256, 257, 258, 259, 260


class Characters(NamedTuple):
    """A batch of sentences as the characters of its distinct tokens.

    Args:
        ids: int32 (M, W), the characters of each distinct token; rows 0 and 1 are the marks of
            sentence begin and end.
        index: int32 (B, T + 2), the row of `ids` for every position of every sentence, sentence
            marks included; or (B, T) without them. Beyond a sentence's end it points to row 0.
        lengths: int32 (B,), tokens of each sentence, at least 1, sentence marks not counted.
    """

    ids: tf.Tensor
    index: tf.Tensor
    lengths: tf.Tensor


def sentence_marks(width: int) -> np.ndarray:
    """Returns the characters of the marks of sentence begin and end, int32 (2, width)."""
    ids = np.full((2, width), PADDING, np.int32)
    ids[:, 0] = TOKEN_BEGIN
    ids[:, 1] = SENTENCE_BEGIN, SENTENCE_END
    ids[:, 2] = TOKEN_END
    return ids


def token_characters(tokens: tf.Tensor, width: int) -> tf.Tensor:
    """Spells tokens: begin mark, bytes, end mark, padding.

    Args:
        tokens: string (M,). Tokens of more than ``width - 2`` bytes lose their last bytes.
        width: Characters per token, the two marks included.

    Returns:
        int32 (M, width), values 0 to 260.
    """
    num_bytes = width - 2
    lengths = tf.minimum(tf.strings.length(tokens, unit="BYTE"), num_bytes)[:, None]
    # A NUL is a byte like any other: what is padding is told by the length, not by the value.
    spelled = tf.io.decode_raw(
        tf.strings.substr(tokens, 0, num_bytes, unit="BYTE"), tf.uint8, fixed_length=num_bytes
    )
    ids = tf.pad(tf.cast(spelled, tf.int32), [[0, 0], [1, 1]], constant_values=TOKEN_BEGIN)
    position = tf.range(width)[None, :]
    ids = tf.where(position == lengths + 1, TOKEN_END, ids)
    return tf.where(position > lengths + 1, PADDING, ids)


def sentence_characters(
    sentences: tf.Tensor, width: int, max_filter_width: int, *, marks: bool = True
) -> Characters:
    """Splits space-joined sentences and spells each distinct token once.

    The characters are cut to the longest token and one window of padding: windows further right
    would see only padding again, so that every maximum over windows stays what it was.

    Args:
        sentences: string (B,), tokens separated by single spaces; an empty sentence is one empty
            token.
        width: Most characters per token, the two marks included.
        max_filter_width: Width of the widest convolution.
        marks: Whether sentence marks are read; `BiLMOptions.sentence_marks`.

    Returns:
        The batch, with W <= width characters per token.
    """
    tokens = tf.strings.split(sentences, sep=" ")
    return ragged_characters(tokens, width, max_filter_width, marks=marks)


def ragged_characters(
    tokens: tf.RaggedTensor, width: int, max_filter_width: int, *, marks: bool = True
) -> Characters:
    """Spells each distinct token of sentences that are split already once; see `sentence_characters`.

    Args:
        tokens: string (B, None).
        width: As there, as are the others.
        max_filter_width: As there.
        marks: As there.
    """
    lengths = tf.cast(tokens.row_lengths(), tf.int32)
    distinct, index = tf.unique(tokens.flat_values)
    # A sentence mark is as long as a token of one byte.
    longest = tf.maximum(1, tf.reduce_max(tf.strings.length(distinct, unit="BYTE")))
    kept = tf.minimum(longest + 2 + max_filter_width, width)
    ids = tf.concat([sentence_marks(width), token_characters(distinct, width)], axis=0)[:, :kept]
    index = tf.RaggedTensor.from_row_lengths(index + 2, lengths).to_tensor()
    if not marks:
        return Characters(ids, index, lengths)
    index = tf.pad(index, [[0, 0], [1, 1]])
    # One mark of the sentence's end right after its last token.
    index = tf.where(tf.range(tf.shape(index)[1])[None, :] == lengths[:, None] + 1, 1, index)
    return Characters(ids, index, lengths)
