"""A softmax for a biLM that has none, from one look at a text: a Newton step from the words' frequencies."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Chosen on the questions of TREC. Sightings of a word that weigh as much as the mean of all words: the means
# of rare ones are mostly chance. And what is added to each variance, as a share of their mean.
_PRIOR_SIGHTINGS = 30.0
_RIDGE = 1.0

# Parts of the step to choose from: words are not independent of one another, so the whole step mostly goes
# too far; where the ridge is too much, not far enough. 0 is frequencies alone.
SCALES = (2.0, 1.0, 0.5, 0.25, 0.1, 0.0)


@dataclass(frozen=True)
class FirstSoftmax:
    """A first softmax over V words, up to the length of the step to it.

    At weights of zero the likelihood's gradient for a word w that is seen n_w times is ``n_w (m_w - m)``,
    with the mean m_w of the states before it and the mean m of all states; its block of the Hessian is
    about ``-n_w S`` with their covariance S. So Newton's step is ``S^-1 (m_w - m)``: sums and one matrix
    inverse, where gradient descent would take many passes.

    Args:
        kernel: The step, float64 (V, P).
        log_frequencies: float64 (V,).
        spread: ``(m_w - m) S^-1 (m_w - m)`` of each word, float64 (V,).
        mean: The mean of all states, float64 (P,).

    Reference:
        Böhning 1992, Multinomial logistic regression algorithm.
    """

    kernel: NDArray[np.float64]
    log_frequencies: NDArray[np.float64]
    spread: NDArray[np.float64]
    mean: NDArray[np.float64]

    @classmethod
    def of(
        cls, pairs: Iterable[tuple[NDArray[np.float32], NDArray[np.int32]]], vocabulary_size: int
    ) -> "FirstSoftmax":
        """Looks at states and words.

        Args:
            pairs: States float (N, P) and, for each, the id of the word to predict from it, int (N,).
            vocabulary_size: Number V of words.

        Raises:
            ValueError: If there is no pair.
        """
        counts, sums, squares = np.zeros(vocabulary_size), np.zeros((0, 0)), np.zeros((0, 0))
        for states, words in pairs:
            states = np.asarray(states, np.float64)
            if not sums.size:
                width = states.shape[1]
                sums, squares = np.zeros((vocabulary_size, width)), np.zeros((width, width))
            np.add.at(sums, words, states)
            np.add.at(counts, words, 1.0)
            squares += states.T @ states
        total = counts.sum()
        if not total:
            raise ValueError("pairs is empty; at least one state and its word are needed")
        mean = sums.sum(axis=0) / total
        means = (sums - counts[:, None] * mean) / (counts + _PRIOR_SIGHTINGS)[:, None]
        covariance = squares / total - np.outer(mean, mean)
        covariance += _RIDGE * np.trace(covariance) / len(mean) * np.eye(len(mean))
        kernel = np.linalg.solve(covariance, means.T).T
        log_frequencies = np.log((counts + 0.5) / (total + 0.5 * vocabulary_size))
        return cls(kernel, log_frequencies, np.einsum("vp,vp->v", kernel, means), mean)

    def scaled(self, scale: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Goes a part of the step.

        Args:
            scale: Which part, at least 0; see `SCALES`.

        Returns:
            Kernel float32 (V, P) and bias float32 (V,). The bias sees to it that over states that are spread
            normally each word stays as likely as it is frequent.
        """
        kernel = scale * self.kernel
        bias = self.log_frequencies - 0.5 * scale**2 * self.spread - kernel @ self.mean
        return kernel.astype(np.float32), bias.astype(np.float32)
