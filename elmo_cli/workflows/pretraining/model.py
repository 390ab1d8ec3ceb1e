"""The language model of a pre-training, with what it takes to feed it, to measure it and to write it."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from elmo_cli import files
from elmo_cli.bilm.batches import Speller, language_model_batch
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.negatives import NegativeSampler
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.perplexity import Perplexity, measure_perplexity
from elmo_cli.bilm.softmax import FILE_NAME, Softmax
from elmo_cli.bilm.weights import write_weights
from elmo_cli.workflows.pretraining.config import PretrainConfig
from elmo_cli.workflows.pretraining.corpus import PretrainCorpus

logger = logging.getLogger(__name__)


class PretrainModel:
    """A language model and the text it is trained on.

    Args:
        config: What the training is told.
        options: The shape of the network.
        corpus: What it reads.
        policy: Name of the dtype policy.

    Attributes:
        language_model: Built, with random weights.
        config: As given.
        corpus: As given.
    """

    def __init__(
        self, config: PretrainConfig, options: BiLMOptions, corpus: PretrainCorpus, policy: str
    ) -> None:
        self.config = config
        self.corpus = corpus
        keras.utils.set_random_seed(config.seed)
        vocabulary_size = len(corpus.vocabulary)
        self.language_model = LanguageModel(
            BiLM(options, dtype=policy), vocabulary_size, dropout=config.dropout, dtype="float32"
        )
        self.language_model.build()
        self.losses = tf.function(self.language_model, input_signature=[signature(sampled=False)])
        self.speller = Speller(options.char_cnn.max_characters_per_token, options.char_cnn.max_filter_width)
        self.negatives = NegativeSampler(vocabulary_size, config.num_negatives, config.seed)
        num_parameters, num_below = self.language_model.count_params(), self.bilm.count_params()
        logger.info(
            "biLM of %.2f M parameters, matrix products in %s; %d predicted words (%.2f M parameters, not "
            "part of the ELMo).",
            num_below / 1e6,
            policy.removeprefix("mixed_"),
            vocabulary_size,
            (num_parameters - num_below) / 1e6,
        )

    @property
    def bilm(self) -> BiLM:
        """The network below the softmax."""
        return self.language_model.bilm

    def batch(self, sentences: Sequence[Sequence[str]]) -> dict[str, np.ndarray]:
        """Returns what the model takes to be measured on sentences of one length."""
        return language_model_batch(sentences, self.corpus.vocabulary, self.speller)

    def training_batch(self, sentences: Sequence[Sequence[str]], step: int) -> dict[str, Any]:
        """Returns what the model takes to be trained on sentences of one length in a certain step."""
        negatives, log_expected = self.negatives.draw(step)
        return self.batch(sentences) | {"negatives": negatives, "log_expected": log_expected}

    def perplexity(self, max_tokens: int | None = None) -> Perplexity:
        """Measures on the held-out text, or on about so many tokens of it."""
        return measure_perplexity(
            self.losses,
            self.corpus.measured,
            self.corpus.vocabulary,
            self.speller,
            batch_tokens=self.config.batch_tokens,
            max_tokens=max_tokens,
        )

    def write_elmo(self, output: Path) -> None:
        """Writes what `--elmo` reads."""
        files.write_text(output / "options.json", self.bilm.options.to_json())
        with files.atomic_path(output / "weights.hdf5") as path:
            write_weights(self.bilm, path, dtype="float16")

    @property
    def softmax(self) -> Softmax:
        """A copy of what predicts the words as it is now."""
        kernel, bias = (
            keras.ops.convert_to_numpy(variable)
            for variable in (self.language_model.softmax_kernel, self.language_model.softmax_bias)
        )
        return Softmax(self.corpus.vocabulary, kernel, bias)

    def write_softmax(self, output: Path) -> None:
        """Writes the words that are predicted, and what predicts them: with it `--init` goes on at once."""
        files.write_text(output / "vocab.txt", self.corpus.vocabulary.to_text())
        self.softmax.write(output / FILE_NAME)


def signature(*, sampled: bool) -> dict[str, tf.TensorSpec]:
    """Returns shape and dtype of a batch, with negatives or without."""
    specs = {name: tf.TensorSpec([None, None], tf.int32) for name in ("character_ids", "index", "targets")}
    if sampled:
        specs["negatives"] = tf.TensorSpec([None], tf.int32)
        specs["log_expected"] = tf.TensorSpec([None], tf.float32)
    return specs
