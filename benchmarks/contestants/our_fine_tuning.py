"""A step of ours, from texts to updated weights, as `elmo-train --trainable all` takes it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.weights import read_weights
from elmo_cli.classifier.fine_tuning import FineTuning, LabelledTexts
from elmo_cli.classifier.pooled_classifier import PooledClassifier
from elmo_cli.classifier.pooling import MaskedPooling
from elmo_cli.classifier.trainable_classifier import TrainableClassifier
from elmo_cli.config import FineTuningConfig


class OurFineTuning:
    """The classifier on its ELMo, with all layers learning from the first step.

    Args:
        weights: The directory with options.json and weights.hdf5.
        kernel: As for `TF1FineTuning`.
        learning_rate: Adam's step size, that of all layers.
        texts: All texts, space-joined.
        targets: Their class ids, int32 (N,).
        precision: Of the products, ``float32`` or ``bfloat16``.
        batch_size: Rows of a batch.
    """

    def __init__(
        self,
        weights: Path,
        kernel: NDArray[np.float32],
        learning_rate: float,
        texts: Sequence[str],
        targets: NDArray[np.int32],
        *,
        precision: str,
        batch_size: int,
    ) -> None:
        options = BiLMOptions.from_json(weights / "options.json")
        policy = "mixed_bfloat16" if precision == "bfloat16" else precision
        bilm = BiLM(options, "zeros", dtype=policy)
        read_weights(bilm, weights / "weights.hdf5")
        classifier = PooledClassifier(
            kernel.shape[1], dropout=0.0, joined=True, mix_l2=0.0, mix_trainable=False, standardize=False
        )
        classifier.build((None, options.num_layers, options.dim))
        classifier.head.set_weights([kernel, np.zeros(kernel.shape[1], np.float32)])
        model = TrainableClassifier(bilm, MaskedPooling(("mean",)), classifier)
        model.build()
        rows = LabelledTexts(np.array(texts, object), targets)
        config = FineTuningConfig(
            batch_size=batch_size,
            learning_rate=learning_rate,
            head_rate=1.0,
            layer_decay=1.0,
            unfreeze=0.0,
            weight_decay=0.0,
        )
        weights_of_classes = np.ones(kernel.shape[1], np.float32)
        self._tuning = FineTuning(
            model, rows, rows, config, top_only=False, class_weights=weights_of_classes, seed=0
        )
        self._targets = targets

    def loss(self, rows: NDArray[np.int64]) -> float:
        """Returns the mean cross-entropy of some texts, in nats."""
        loss, weight, _ = self._tuning.steps(0).evaluate(self._tuning.batch(rows, 0))
        return float(loss / weight)

    def step(self, rows: NDArray[np.int64]) -> None:
        """Takes one step on the texts of these numbers."""
        loss, _, _ = self._tuning.steps(0).train(self._tuning.batch(rows, 0))
        float(loss)
