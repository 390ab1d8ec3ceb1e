"""The part of a classifier that knows words, their pairs and their parts, and has its say beside ELMo."""

import logging
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from elmo_cli.classifier.blend import fit_shares, log_softmax, logarithms
from elmo_cli.classifier.folds import folds
from elmo_cli.counts import counted
from elmo_cli.text.tfidf import Texts, Tfidf

logger = logging.getLogger(__name__)

STRENGTHS = (1.0, 10.0, 100.0)  # of the fit: C of scikit-learn, the inverse of the L2 penalty
NUM_FOLDS = 5
# With more rows than this one fold is enough to choose the strength by.
FEW_ROWS = 1000
# With more weights than that, classes times n-grams, a regression takes minutes.
_MANY_WEIGHTS = 3_000_000


@dataclass(frozen=True)
class TfidfPart:
    """Logistic regression on TF-IDF vectors, joined with ELMo's classifier by what each one counts.

    The probabilities of both are multiplied, each raised to the power of its share, and brought to the
    sum 1. A share of 0 leaves a part out; shares need not sum to 1, for a part may be too sure of itself or
    not sure enough.

    Args:
        tfidf: Makes the vectors.
        kernel: float32 (V, C).
        bias: float32 (C,).
        strength: Inverse of the L2 penalty it was fitted with.
        elmo_share: What ELMo's logarithmic probabilities are multiplied with, at least 0.
        tfidf_share: The same for this part.
    """

    tfidf: Tfidf
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]
    strength: float
    elmo_share: float = 0.5
    tfidf_share: float = 0.5

    @classmethod
    def fit(cls, texts: Texts, targets: NDArray[np.int32], *, balanced: bool = False) -> Self:
        """Fits vocabulary and regression on the training rows; the strength is chosen by cross validation.

        Args:
            texts: Space-joined, of N rows.
            targets: Class ids, int32 (N,), each of the C classes at least once; C at least 2.
            balanced: Whether rows of rare classes count more.

        Returns:
            The part, its shares not yet fitted.
        """
        tfidf = Tfidf.fit(texts)
        vectors = tfidf.transform(texts)
        if _has_many_weights(vectors, targets):
            logger.info(
                "TF-IDF: fitting %s for %s, which takes minutes; --features elmo does without",
                counted(len(tfidf.vocabulary), "n-gram"),
                counted(int(targets.max()) + 1, "class", "classes"),
            )
        strength = _best_strength(vectors, targets, balanced)
        kernel, bias = _regression(vectors, targets, strength, balanced)
        found = counted(len(tfidf.vocabulary), "n-gram")
        logger.info("TF-IDF: %s of %s, C = %g", found, counted(len(texts), "row"), strength)
        return cls(tfidf, kernel, bias, strength)

    def cross_fitted(
        self, texts: Texts, targets: NDArray[np.int32], *, balanced: bool = False
    ) -> NDArray[np.float32]:
        """Says of each training row what a regression on the other folds says of it.

        Args:
            texts: Those of `fit`.
            targets: Likewise.
            balanced: Likewise.

        Returns:
            Probabilities, float32 (N, C); NaN where no fold could tell (see `folds`).
        """
        vectors = self.tfidf.transform(texts)
        found = np.full((len(targets), len(self.bias)), np.nan, np.float32)
        for learned, held_out in folds(targets, NUM_FOLDS):
            found[held_out] = np.exp(
                _held_out_log_probabilities(vectors, targets, learned, held_out, self.strength, balanced)
            )
        return found

    def weighed(
        self,
        elmo: NDArray[np.float32],
        tfidf: NDArray[np.float32],
        targets: NDArray[np.int32],
        weights: NDArray[np.float32],
    ) -> Self:
        """Fits the shares on rows that neither part has learned from.

        Args:
            elmo: Probabilities that ELMo's classifier gives, float32 (N, C).
            tfidf: Those that this part gives, likewise.
            targets: Class ids of the rows, int32 (N,), at least 0.
            weights: What each row counts, float32 (N,).

        Returns:
            The part with its shares.
        """
        parts = np.stack([logarithms(elmo), logarithms(tfidf)])
        elmo_share, tfidf_share = fit_shares(parts, targets, weights)
        return replace(self, elmo_share=elmo_share, tfidf_share=tfidf_share)

    def refitted(self, texts: Texts, targets: NDArray[np.int32], *, balanced: bool = False) -> Self:
        """Returns the part with its regression fitted on other rows; n-grams and shares stay.

        Args:
            texts: Space-joined, of N rows.
            targets: Class ids, int32 (N,), each of the C classes at least once.
            balanced: Whether rows of rare classes count more.
        """
        kernel, bias = _regression(self.tfidf.transform(texts), targets, self.strength, balanced)
        return replace(self, kernel=kernel, bias=bias)

    def join(self, probabilities: NDArray[np.float32], texts: Texts) -> NDArray[np.float32]:
        """Joins what ELMo's classifier says of N texts with what this part says.

        Args:
            probabilities: Those of ELMo's classifier, float32 (N, C).
            texts: Space-joined, of the same rows.

        Returns:
            float32 (N, C); each row sums to 1.
        """
        joined = self.elmo_share * logarithms(probabilities)
        joined += self.tfidf_share * self.log_probabilities(texts)
        return np.exp(log_softmax(joined)).astype(np.float32)

    def log_probabilities(self, texts: Texts) -> NDArray[np.float64]:
        """Returns what this part alone says of N space-joined texts, float64 (N, C)."""
        return log_softmax((self.tfidf.multiply(texts, self.kernel) + self.bias).astype(np.float64))


def _best_strength(vectors: Any, targets: NDArray[np.int32], balanced: bool) -> float:
    """Returns the strength whose predictions for held-out training rows are the likeliest."""
    losses = np.zeros(len(STRENGTHS))
    for learned, held_out in folds(targets, NUM_FOLDS, num_used=None if len(targets) <= FEW_ROWS else 1):
        for place, strength in enumerate(STRENGTHS):
            found = _held_out_log_probabilities(vectors, targets, learned, held_out, strength, balanced)
            losses[place] -= found[np.arange(len(held_out)), targets[held_out]].sum()
    return STRENGTHS[int(losses.argmin())]


def _held_out_log_probabilities(
    vectors: Any,
    targets: NDArray[np.int32],
    learned: NDArray[np.int64],
    held_out: NDArray[np.int64],
    strength: float,
    balanced: bool,
) -> NDArray[np.float64]:
    """Returns what a regression on some rows says of others, float64 (M, C); -inf for unseen classes."""
    classes, known = np.unique(targets[learned], return_inverse=True)
    kernel, bias = _regression(vectors[learned], known, strength, balanced)
    found = np.full((len(held_out), int(targets.max()) + 1), -np.inf)
    found[:, classes] = log_softmax((vectors[held_out] @ kernel + bias).astype(np.float64))
    return found


def _has_many_weights(vectors: Any, targets: NDArray[np.integer[Any]]) -> bool:
    return bool(vectors.shape[1] * (int(targets.max()) + 1) > _MANY_WEIGHTS)


def _regression(
    vectors: Any, targets: NDArray[np.integer[Any]], strength: float, balanced: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fits multinomial logistic regression; returns kernel (V, C) and bias (C,)."""
    if not vectors.shape[1]:
        counts = np.bincount(targets)
        prior = np.full(len(counts), 1 / len(counts)) if balanced else counts / counts.sum()
        return np.zeros((0, len(counts)), np.float32), np.log(prior).astype(np.float32)
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    # In double precision Newton's method is at a tight tolerance in a fraction of the time of lbfgs; a loose
    # one stops long before the end, and costs points. With many classes it takes several times as long as
    # lbfgs, which comes as near. Threads would only wait for each other in products as small as these.
    many = _has_many_weights(vectors, targets)
    model = LogisticRegression(
        C=strength,
        solver="lbfgs" if many else "newton-cg",
        tol=1e-5 if many else 1e-6,
        max_iter=1000,
        class_weight="balanced" if balanced else None,
    )
    with threadpool_limits(limits=1):
        model.fit(vectors.astype(np.float64), targets)
    kernel, bias = model.coef_.T, model.intercept_
    if kernel.shape[1] == 1:  # of two classes scikit-learn gives the second one's logit alone
        kernel, bias = np.hstack([0 * kernel, kernel]), np.array([0.0, bias[0]])
    return kernel.astype(np.float32), bias.astype(np.float32)
