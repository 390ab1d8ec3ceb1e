"""The TF-IDF part of a run: fitted beside ELMo's classifier, and described in a line."""

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.classifier.tfidf_part import TfidfPart
from elmo_cli.training.arrays import class_weights
from elmo_cli.workflows.training_tables import TrainingTables

logger = logging.getLogger(__name__)


def fit_tfidf(
    tables: TrainingTables,
    valid_probabilities: NDArray[np.float32],
    cross_fitted: NDArray[np.float32] | None = None,
    *,
    balanced: bool,
) -> tuple[TfidfPart, dict[str, Any]]:
    """Fits the part on the training rows; then what each part counts, on rows it has not learned from.

    Those are the validation rows and, where they are few, the training rows, too, each judged by what was
    learned from the other folds.

    Args:
        tables: Those of the run.
        valid_probabilities: What ELMo's classifier says of the validation rows, float32 (N, C).
        cross_fitted: What classifiers that have not learned from them say of the training rows, likewise;
            NaN where there is none. Absent where the validation rows are enough.
        balanced: Whether rows of rare classes count more.

    Returns:
        The part, and what the run's record says of it: the number of n-grams, the shares, and the
        validation accuracy of either part alone and of both.
    """
    train, valid = tables.train, tables.valid
    train_texts = train.examples.sentences.texts
    part = TfidfPart.fit(train_texts, train.targets, balanced=balanced)
    known = valid.targets >= 0  # a label that training never saw has no class
    texts, targets = valid.examples.sentences.texts[known], valid.targets[known]
    elmo = valid_probabilities[known]
    by_class = class_weights("balanced" if balanced else "none", train.targets, elmo.shape[1])
    tfidf = np.exp(part.log_probabilities(texts)).astype(np.float32)
    elmo_says, tfidf_says, wanted = [elmo], [tfidf], [targets]
    if cross_fitted is not None:
        told = ~np.isnan(cross_fitted[:, 0])  # by the same folds as the other part
        elmo_says.append(cross_fitted[told])
        tfidf_says.append(part.cross_fitted(train_texts, train.targets, balanced=balanced)[told])
        wanted.append(train.targets[told])
    judged = np.concatenate(wanted)
    part = part.weighed(
        np.concatenate(elmo_says),
        np.concatenate(tfidf_says),
        judged,
        by_class[judged],
    )
    found = (elmo, tfidf, part.join(elmo, texts))
    right = [round(float((one.argmax(axis=1) == targets).mean()), 4) for one in found]
    record = {
        "ngrams": len(part.tfidf.vocabulary),
        "strength": part.strength,
        "shares": {"elmo": round(part.elmo_share, 4), "tfidf": round(part.tfidf_share, 4)},
        "valid_accuracy": dict(zip(("elmo", "tfidf", "together"), right, strict=True)),
    }
    logger.info("%s", describe_tfidf(record))
    return part, record


def describe_tfidf(record: Mapping[str, Any]) -> str:
    """Says in one line what `fit_tfidf` found."""
    shares, accuracy = record["shares"], record["valid_accuracy"]
    return (
        f"ELMo counts {shares['elmo']:.2f}, TF-IDF of {record['ngrams']:,} n-grams {shares['tfidf']:.2f}; "
        f"accuracy on valid {accuracy['elmo']:.3f} and {accuracy['tfidf']:.3f} alone, "
        f"{accuracy['together']:.3f} together"
    )
