"""Texts become pooled vectors, once: frozen embeddings need no second look."""

import logging
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.classifier.pooling import MaskedPooling
from elmo_cli.elmo.embedder import Embedder
from elmo_cli.errors import ConfigError, SourceError
from elmo_cli.progress import track
from elmo_cli.text.sentences import Sentences

logger = logging.getLogger(__name__)

MAX_ROWS = 512  # per batch; more gains nothing and makes progress coarse


class Encoder:
    """Embeds and pools sentences: each distinct one once, longest first, in batches of like length.

    Keep one and call it again for chunks of a stream: its graph is traced once. When memory runs out, the
    batch is halved, and so are all later ones.

    Args:
        embedder: Where the vectors come from.
        pooling: What makes one vector of those of the tokens.
    """

    def __init__(self, embedder: Embedder, pooling: MaskedPooling) -> None:
        self.embedder = embedder
        self.pooling = pooling
        self.shape = (embedder.num_layers, embedder.dim * len(pooling.poolings))
        # Numbers of rows and tokens are left open, so that one trace serves every batch.
        signature = [tf.TensorSpec([None], tf.string)]
        self._embed_and_pool = tf.function(lambda texts: pooling(*embedder(texts)), input_signature=signature)
        self._tokens_that_fit: int | None = None

    def __call__(self, sentences: Sentences, *, batch_tokens: int) -> NDArray[np.float32]:
        """Encodes sentences.

        Args:
            sentences: N space-joined texts and their lengths in tokens.
            batch_tokens: Most tokens in a batch, rows times longest row; one row is always taken.

        Returns:
            float32 (N, L, P) in the order of the sentences.

        Raises:
            ConfigError: When memory does not suffice for a single sentence.
            SourceError: When a vector holds NaN or infinity.
            ValueError: When ``batch_tokens`` is less than 1.
        """
        if batch_tokens < 1:
            raise ValueError(f"batch_tokens must be at least 1, not {batch_tokens}")
        # Distinct texts, in order of appearance, and for each row the number of its text.
        numbers: dict[str, int] = {}
        rows = [numbers.setdefault(text, len(numbers)) for text in sentences.texts]
        lengths = np.ones(len(numbers), np.int64)
        lengths[rows] = np.maximum(sentences.lengths, 1)
        texts = np.array([*numbers, None], object)[:-1]  # None keeps NumPy from making other types of it
        vectors = np.empty((len(texts), *self.shape), np.float32)
        encoded = self._fill(vectors, texts, lengths, batch_tokens)
        for _ in track(encoded, total=len(texts), description="embedding"):
            pass
        return vectors if len(texts) == len(rows) else vectors[rows]

    def _fill(
        self,
        vectors: NDArray[np.float32],
        texts: NDArray[np.object_],
        lengths: NDArray[np.int64],
        budget: int,
    ) -> Iterator[int]:
        """Writes each text's vectors into its row of ``vectors`` and yields the number of each row done."""
        # Longest first: what does not fit into memory shows at once, and time left is not underrated.
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            longest = int(lengths[order[start]])
            if self._tokens_that_fit is not None:
                budget = min(budget, self._tokens_that_fit)
            batch = order[start : start + min(MAX_ROWS, max(1, budget // longest))]
            try:
                pooled = self._embed_and_pool(tf.constant(texts[batch], tf.string)).numpy()
            except tf.errors.ResourceExhaustedError as error:
                self._halve(len(batch), longest, error)
                continue
            self._check(pooled, texts[batch])
            vectors[batch] = pooled
            start += len(batch)
            yield from batch.tolist()

    def _halve(self, num_rows: int, longest: int, error: Exception) -> None:
        if num_rows == 1:
            raise ConfigError(
                f"Memory does not suffice to embed a single text of {longest} tokens. Cut texts shorter, for "
                f"example with --max-length {max(1, longest // 2)}."
            ) from error
        self._tokens_that_fit = num_rows * longest // 2
        logger.warning(
            "Memory ran out with %d tokens at once; going on with %d. To begin there: "
            "--set elmo.batch_tokens=%d",
            num_rows * longest,
            self._tokens_that_fit,
            self._tokens_that_fit,
        )

    def _check(self, pooled: NDArray[np.float32], texts: NDArray[np.object_]) -> None:
        bad = np.flatnonzero(~np.isfinite(pooled).all(axis=(1, 2)))
        if len(bad):
            raise SourceError(
                f"{self.embedder.source.handle}: the vectors of {len(bad)} of {len(texts)} texts hold NaN or "
                f"infinity, first those of {texts[bad[0]][:80]!r}. The weights are damaged; get them again, "
                "or choose others with --elmo."
            )
