"""A training step of ours, from tokens to updated weights, as `elmo-pretrain` takes it."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.bilm.batches import Speller, language_model_batch
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.negatives import NegativeSampler
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.vocabulary import Vocabulary
from elmo_cli.bilm.weights import read_weights
from elmo_cli.training.adam import FusedAdam
from elmo_cli.training.muon import Muon
from elmo_cli.training.stream import make_step
from elmo_cli.workflows.pretraining.model import signature


class OurPretraining:
    """The language model, built and compiled.

    Args:
        weights: The directory with options.json and weights.hdf5.
        kernel: float32 (V, P), the softmax weights of both directions.
        vocabulary: The V words that are predicted.
        num_negatives: Words drawn per batch.
        precision: Of the products, ``float32`` or ``bfloat16``.
        optimizer: ``muon``, the default of `elmo-pretrain`, or ``adam``, whose step costs as little as that
            of the graph's Adagrad.
    """

    def __init__(
        self,
        weights: Path,
        kernel: NDArray[np.float32],
        vocabulary: Vocabulary,
        num_negatives: int,
        precision: str,
        optimizer: str,
    ) -> None:
        shape = BiLMOptions.from_json(weights / "options.json")
        policy = "mixed_bfloat16" if precision == "bfloat16" else precision
        model = LanguageModel(BiLM(shape, dtype=policy), len(vocabulary), dtype="float32")
        model.build()
        read_weights(model.bilm, weights / "weights.hdf5")
        model.softmax_kernel.assign(kernel)
        options = {"beta_2": 0.99, "clip_norm": 1.0}
        if optimizer == "adam":
            moves = FusedAdam(0.004, **options)
        else:
            moves = Muon(0.005, model.matrices, dtype=precision, **options)
        self._update = make_step(model, moves, signature(sampled=True))
        self._losses = tf.function(model, input_signature=[signature(sampled=False)])
        self._vocabulary = vocabulary
        self._speller = Speller(shape.char_cnn.max_characters_per_token, shape.char_cnn.max_filter_width)
        self._sampler = NegativeSampler(len(vocabulary), num_negatives, seed=0)
        self._numbers = itertools.count()

    def loss(self, sentences: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Returns the losses of both directions over all words, in nats per token: (2,)."""
        return self._losses(self._batch(sentences)).numpy()

    def step(self, sentences: Sequence[Sequence[str]]) -> None:
        """Takes one training step on B sentences of one length."""
        negatives, log_expected = self._sampler.draw(next(self._numbers))
        self._update(self._batch(sentences) | {"negatives": negatives, "log_expected": log_expected}).numpy()

    def _batch(self, sentences: Sequence[Sequence[str]]) -> dict[str, NDArray[np.int32]]:
        return language_model_batch(sentences, self._vocabulary, self._speller)
