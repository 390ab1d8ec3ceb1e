"""Words drawn at random, against which a language model scores the true ones."""

import numpy as np


class NegativeSampler:
    """Draws words log-uniformly by rank, the same number of tries for every batch.

    Args:
        vocabulary_size: Number V of words, the most frequent first.
        num_tries: Draws with replacement per batch; 5,000 give about 2,200 distinct words of 30,000.
        seed: Of the draws.

    Reference: the log-uniform (Zipfian) sampler of `tf.random.log_uniform_candidate_sampler`.
    """

    def __init__(self, vocabulary_size: int, num_tries: int, seed: int) -> None:
        self.vocabulary_size = vocabulary_size
        self.num_tries = num_tries
        self.seed = seed
        rank = np.arange(vocabulary_size, dtype=np.float64)
        probability = np.log1p(1.0 / (rank + 1.0)) / np.log(vocabulary_size + 1.0)
        # A word is in the sample unless all tries miss it.
        self.log_expected = np.log(-np.expm1(num_tries * np.log1p(-probability))).astype(np.float32)

    def draw(self, step: int) -> np.ndarray:
        """Returns the distinct word ids for a batch, int32 (K,), ascending; K varies a little.

        Args:
            step: Number of the batch, at least 0; the same number gives the same words.
        """
        random = np.random.default_rng((self.seed, step))
        tries = np.exp(random.random(self.num_tries) * np.log(self.vocabulary_size + 1.0)) - 1.0
        return np.unique(np.minimum(tries.astype(np.int64), self.vocabulary_size - 1)).astype(np.int32)
