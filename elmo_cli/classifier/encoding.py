"""Texts become vectors, once: frozen embeddings need no second look."""

import itertools
import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.byte_counts import format_bytes
from elmo_cli.classifier.matrix import new_matrix
from elmo_cli.classifier.pooling import MaskedPooling, MaskedTokens
from elmo_cli.counts import counted
from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.elmo.cache_key import KeySpace
from elmo_cli.elmo.embedder import Embedder
from elmo_cli.errors import ConfigError, SourceError
from elmo_cli.progress import track
from elmo_cli.text.sentences import Sentences

logger = logging.getLogger(__name__)

WORTH_SAYING = 10**6  # bytes that the cache grows by, or that token vectors take
# Raised when the same weights give other numbers than before: what the cache has is then not used any more.
ENCODING_VERSION = 1
READ_ROWS = 1 << 16  # texts whose words are held at once
MAX_ROWS = 1024  # per batch; more gains nothing and makes progress coarse
BATCH_BYTES = 1 << 30  # about what a batch may take while it is embedded, if no number of tokens is given


@dataclass(frozen=True)
class Encoded:
    """The vectors of N sentences, each distinct one stored once.

    Args:
        vectors: float32 or float16, in memory or mapped from a file: pooled (M, L, P), or those of tokens
            (M, L, T, D) with zeros where a sentence has no more tokens.
        rows: For each sentence its row of ``vectors``, int64 (N,).
    """

    vectors: NDArray[Any]
    rows: NDArray[np.int64]


class Encoder:
    """Embeds and pools sentences: each distinct one once, longest first, in batches of like length.

    Keep one and call it again for chunks of a stream: its graphs are traced once. When memory runs out, the
    batch is halved, and so are all later ones.

    Vectors have the type float32, or float16 where the embedder computes in bfloat16: its own rounding is
    sixteen times coarser. So the cache gives them back as they were put into it. Embedded anew with
    other sentences beside it, a sentence may differ in the last bits: the number of rows decides how a
    product is summed.

    Args:
        embedder: Where the vectors come from.
        pooling: What is kept of those of the tokens.

    Attributes:
        shape: Of what a sentence becomes: (L, P), or (L, None, D) where all tokens are kept.
        dtype: Of the vectors.
    """

    def __init__(self, embedder: Embedder, pooling: MaskedPooling | MaskedTokens) -> None:
        self.embedder = embedder
        self.pooling = pooling
        self.shape: tuple[int | None, ...] = pooling.encoded_shape(embedder.num_layers, embedder.dim)
        self.dtype = np.dtype(np.float16 if embedder.precision == "bfloat16" else np.float32)
        layers = tf.TensorSpec([None, embedder.num_layers, None, embedder.dim], tf.float32)
        mask = tf.TensorSpec([None, None], tf.bool)
        self._keep = tf.function(
            lambda *batch: pooling(*batch), input_signature=[layers, mask], autograph=False
        )
        self._key = KeySpace(
            fingerprint=embedder.source.fingerprint,
            stored=f"{pooling.stored}, computed in {embedder.precision}, version {ENCODING_VERSION}",
            dtype=self.dtype.name,
        )
        self._tokens_that_fit: int | None = None

    def __call__(
        self,
        sentences: Sentences,
        *,
        batch_tokens: int | None = None,
        cache: EmbeddingCache | None = None,
        memory_bytes: int | None = None,
        max_tokens: int | None = None,
    ) -> Encoded:
        """Encodes sentences.

        Args:
            sentences: N space-joined texts and their lengths in tokens.
            batch_tokens: Most tokens in a batch, rows times longest row; one row is always taken. By
                default as many as take about `BATCH_BYTES`.
            cache: Where vectors are looked for first and kept afterwards.
            memory_bytes: Most bytes of vectors to hold in memory; more than that are in a file.
            max_tokens: Where all tokens are kept, the number T of those that a sentence has room for; by
                default as many as the longest one has.

        Returns:
            The vectors.

        Raises:
            ConfigError: When memory does not suffice for a single sentence.
            SourceError: When a vector holds NaN or infinity.
            RunError: When there is no room for the file.
            ValueError: When ``batch_tokens`` is less than 1, or a sentence longer than ``max_tokens``.
        """
        if batch_tokens is None:
            batch_tokens = max(1, BATCH_BYTES // self.embedder.token_bytes)
        if batch_tokens < 1:
            raise ValueError(f"batch_tokens must be at least 1, not {batch_tokens}")
        # Distinct texts, in order of appearance, and for each row the number of its text.
        numbers: dict[str, int] = {}
        rows = np.array([numbers.setdefault(text, len(numbers)) for text in sentences.texts], np.int64)
        lengths = np.ones(len(numbers), np.int64)
        lengths[rows] = np.maximum(sentences.lengths, 1)
        texts = np.array([*numbers, None], object)[:-1]  # None keeps NumPy from making other types of it
        vectors = self._matrix(lengths, memory_bytes, max_tokens)

        keys = [self._key(text) for text in texts] if cache and cache.is_on else []
        missing = self._recall(vectors, lengths, keys, cache)
        embedded = self._embed(texts[missing], lengths[missing], batch_tokens)
        for chosen, kept in embedded:
            done = missing[chosen]
            # All of what is pooled; or the tokens of the batch, which may be fewer than there is room for.
            vectors[done, :, : kept.shape[2]] = kept
            if cache and keys:
                cache.write(
                    (keys[row], _without_padding(vector, lengths[row]).tobytes())
                    for row, vector in zip(done, kept, strict=True)
                )
        return Encoded(vectors, rows)

    def row_bytes(self, max_tokens: int) -> int:
        """Returns how many bytes the vectors of a text of at most so many tokens take."""
        return self.dtype.itemsize * math.prod(max_tokens if size is None else size for size in self.shape)

    def _matrix(
        self, lengths: NDArray[np.int64], memory_bytes: int | None, max_tokens: int | None
    ) -> NDArray[Any]:
        """Makes the matrix for texts of these lengths, all zeros; says what token vectors take."""
        longest = int(lengths.max(initial=1))
        num_tokens = longest if max_tokens is None else max_tokens
        if num_tokens < longest:
            raise ValueError(f"max_tokens is {num_tokens}, but a sentence has {longest}")
        shape = [num_tokens if size is None else size for size in (len(lengths), *self.shape)]
        vectors = new_matrix(tuple(shape), self.dtype, memory_bytes=memory_bytes)
        if None in self.shape:
            # Of the many pieces of a stream, for which no limit is given, it would say nothing.
            worth_saying = vectors.nbytes >= WORTH_SAYING and memory_bytes is not None
            logger.log(
                logging.INFO if worth_saying else logging.DEBUG,
                "The vectors of all tokens of %s, up to %s each, take %s",
                counted(len(lengths), "distinct text"),
                counted(num_tokens, "token"),
                format_bytes(vectors.nbytes),
            )
        return vectors

    def _recall(
        self,
        vectors: NDArray[Any],
        lengths: NDArray[np.int64],
        keys: list[bytes],
        cache: EmbeddingCache | None,
    ) -> NDArray[np.int64]:
        """Fills in what the cache has; returns the rows that are missing, and says how many they are."""
        missing = np.ones(len(vectors), np.bool_)
        if cache and keys:
            shape = [-1 if size is None else size for size in self.shape]
            for row, value in cache.read(keys):
                vector = np.frombuffer(value, self.dtype).reshape(shape)
                vectors[row, :, : vector.shape[1]] = vector
                missing[row] = False
            num_missing = int(missing.sum())
            num_found = len(vectors) - num_missing
            num_vectors = int(lengths[missing].sum()) if None in self.shape else num_missing
            num_bytes = num_vectors * self.dtype.itemsize * math.prod(size or 1 for size in self.shape)
            logger.log(
                logging.INFO if num_bytes >= WORTH_SAYING else logging.DEBUG,
                "%d of %s %s in the cache. %s",
                num_found,
                counted(len(vectors), "distinct text"),
                "is" if num_found == 1 else "are",
                cache.describe_growth(num_missing, num_bytes // max(1, num_missing)),
            )
        return np.flatnonzero(missing)

    def _embed(
        self, texts: NDArray[np.object_], lengths: NDArray[np.int64], budget: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
        """Yields the numbers of some texts and what is kept of their vectors, until all are done."""
        if not len(texts):
            return
        # Longest first: what does not fit into memory shows at once, and time left is not underrated.
        order = np.argsort(-lengths, kind="stable")
        progress = track(order, total=len(order), description="embedding")
        first, read_rows = 0, READ_ROWS
        while first < len(order):
            part = order[first : first + read_rows]
            try:
                read = self.embedder.reader(texts[part])
            except tf.errors.ResourceExhaustedError:  # their distinct words are too many
                if len(part) == 1:
                    raise
                read_rows = len(part) // 2
                continue
            first += len(part)
            start = 0
            while start < len(part):
                longest = int(lengths[part[start]])
                if self._tokens_that_fit is not None:
                    budget = min(budget, self._tokens_that_fit)
                batch = np.arange(start, min(len(part), start + self._num_rows(budget // longest)))
                try:
                    kept = self._keep(*read(batch)).numpy()
                except tf.errors.ResourceExhaustedError as error:
                    self._halve(len(batch), longest, error)
                    continue
                yield part[batch], self._rounded(kept, texts[part[batch]])
                start += len(batch)
                _advance(progress, len(batch))
        _advance(progress, None)  # to its end

    def _num_rows(self, num_rows: int) -> int:
        """Returns how many rows to embed at once where so many may be."""
        num_rows = max(1, min(MAX_ROWS, num_rows))
        full = self.embedder.full_rows
        return num_rows - num_rows % full if num_rows > full else num_rows

    def _halve(self, num_rows: int, longest: int, error: Exception) -> None:
        if num_rows == 1:
            raise ConfigError(
                f"Memory does not suffice to embed a single text of {counted(longest, 'token')}. Cut texts "
                f"shorter, for example with --max-length {max(1, longest // 2)}."
            ) from error
        self._tokens_that_fit = num_rows * longest // 2
        logger.warning(
            "Memory ran out with %s at once; going on with %d. To begin there: --set elmo.batch_tokens=%d",
            counted(num_rows * longest, "token"),
            self._tokens_that_fit,
            self._tokens_that_fit,
        )

    def _rounded(self, kept: NDArray[np.float32], texts: NDArray[np.object_]) -> NDArray[Any]:
        """Brings vectors to the type they are kept in; raises SourceError when that is not possible."""
        name = self.embedder.source.handle
        if len(bad := _not_finite(kept)):
            raise SourceError(
                f"{name}: the vectors of {len(bad)} of {counted(len(texts), 'text')} hold NaN or infinity, "
                f"first those of {texts[bad[0]][:80]!r}. The weights are damaged; get them again, "
                "or choose others with --elmo."
            )
        with np.errstate(over="ignore"):
            rounded = kept.astype(self.dtype, copy=False)
        if len(bad := _not_finite(rounded)):
            raise SourceError(
                f"{name}: the vectors of {texts[bad[0]][:80]!r} are too large for half precision. Use "
                "--precision float32."
            )
        return rounded


def _not_finite(vectors: NDArray[Any]) -> NDArray[np.int64]:
    """Returns the rows that hold NaN or infinity."""
    return np.flatnonzero(~np.isfinite(vectors).reshape(len(vectors), -1).all(axis=1))


def _without_padding(vector: NDArray[Any], length: int) -> NDArray[Any]:
    """Cuts the vectors (L, T, D) of a text of so many tokens; what is pooled (L, P) stays."""
    return vector[:, :length] if vector.ndim == 3 else vector


def _advance(progress: Iterator[Any], number: int | None) -> None:
    """Lets the progress report go on by so many items."""
    for _ in itertools.islice(progress, number):
        pass
