"""A softmax for a biLM that has none, from one look at a text: linear discriminant analysis."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# Sightings of a word that weigh as much as the mean of all words: the means of rare ones are mostly chance.
_PRIOR_SIGHTINGS = 5.0


def discriminant_softmax(
    pairs: Iterable[tuple[NDArray[np.float32], NDArray[np.int32]]], vocabulary_size: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns the softmax that is best if states are spread alike around the mean of the word they precede.

    With means m_w, the covariance S within words and the words' frequencies p_w, Bayes' rule gives the
    logits ``h S^-1 m_w - m_w S^-1 m_w / 2 + log p_w``: sums and one matrix inverse, where gradient descent
    would take many passes. It may go on from here.

    Args:
        pairs: States float (N, P) and, for each, the id of the word to predict from it, int (N,).
        vocabulary_size: Number V of words.

    Returns:
        Kernel float32 (V, P) and bias float32 (V,).

    Raises:
        ValueError: If there is no pair.

    Reference:
        Hastie, Tibshirani and Friedman 2009, The Elements of Statistical Learning, section 4.3.
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
    # Around the mean of all words: it shifts every logit alike.
    centred = sums - counts[:, None] * mean
    scatter = squares - total * np.outer(mean, mean)
    within = (scatter - (centred.T / np.maximum(counts, 1.0)) @ centred) / total
    # The fewer the states, the less their covariance can be trusted, or be inverted at all.
    within += np.trace(scatter) / total**2 * np.eye(len(mean))
    means = centred / (counts + _PRIOR_SIGHTINGS)[:, None]
    kernel = np.linalg.solve(within, means.T).T
    frequencies = (counts + 0.5) / (total + 0.5 * vocabulary_size)
    bias = np.log(frequencies) - 0.5 * np.einsum("vp,vp->v", kernel, means) - kernel @ mean
    return kernel.astype(np.float32), bias.astype(np.float32)
