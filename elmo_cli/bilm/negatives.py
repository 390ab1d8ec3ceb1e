"""Words drawn at random, against which a language model scores the true ones."""

import numpy as np


class NegativeSampler:
    """Draws words log-uniformly by rank until there are so many distinct ones.

    Their number is the same for every batch, so that what is compiled for it is compiled once.

    Args:
        vocabulary_size: Number V of words, the most frequent first.
        num_words: Number K of distinct words to draw; all V, if there are hardly more: waiting for the
            rarest ones would take long.
        seed: Of the draws.

    Reference: `tf.random.log_uniform_candidate_sampler` with ``unique=True``.
    """

    def __init__(self, vocabulary_size: int, num_words: int, seed: int) -> None:
        self.vocabulary_size = vocabulary_size
        self.num_words = num_words if vocabulary_size > 1.2 * num_words else vocabulary_size
        self.seed = seed
        rank = np.arange(vocabulary_size, dtype=np.float64)
        self.log_missed = np.log1p(-np.log1p(1.0 / (rank + 1.0)) / np.log(vocabulary_size + 1.0))

    def draw(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Draws for a batch.

        Args:
            step: Number of the batch, at least 0; the same number gives the same words.

        Returns:
            The distinct word ids, int32 (K,), ascending, and float32 (V,): the logarithm of how often as
            many draws are expected to hold each word, at most 0.
        """
        if self.num_words == self.vocabulary_size:
            return np.arange(self.num_words, dtype=np.int32), np.zeros(self.vocabulary_size, np.float32)
        random = np.random.default_rng((self.seed, step))
        tries = words = np.empty(0, np.int32)
        first = np.empty(0, np.int64)
        while len(words) < self.num_words:
            more = np.exp(random.random(2 * self.num_words) * np.log(self.vocabulary_size + 1.0)) - 1.0
            tries = np.append(tries, np.minimum(more.astype(np.int32), self.vocabulary_size - 1))
            words, first = np.unique(tries, return_index=True)
        num_tries = np.partition(first, self.num_words - 1)[self.num_words - 1] + 1
        # A word is in the sample unless all tries miss it.
        log_expected = np.log(-np.expm1(num_tries * self.log_missed)).astype(np.float32)
        return words[first < num_tries], log_expected
