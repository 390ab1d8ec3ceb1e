"""Text files → a small ELMo: options.json, weights.hdf5, vocab.txt, MODEL_CARD.md."""

import itertools
import logging
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from elmo_cli import files
from elmo_cli.bilm.batches import CorpusBatches, Place, Speller, language_model_batch
from elmo_cli.bilm.corpus import Vocabulary, count_words, read_sentences
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.negatives import NegativeSampler
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.perplexity import Perplexity, measure_perplexity
from elmo_cli.bilm.sizes import options_of_size
from elmo_cli.bilm.weights import write_weights
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.training.stream import Budget, Progress, Schedule, fit_stream, load_checkpoint, make_step
from elmo_cli.workflows.pretrain_card import model_card
from elmo_cli.workflows.pretrain_checkpoint import Checkpoint, identity_of
from elmo_cli.workflows.pretrain_config import PretrainConfig
from elmo_cli.workflows.pretrain_output import alone_in, check_output, checkpoint_directory

__all__ = ["PretrainConfig", "pretrain"]

logger = logging.getLogger(__name__)

# Share of the budget after which batches are doubled: small ones learn faster at first.
_DOUBLE_FROM = 1 / 3


def pretrain(config: PretrainConfig, *, resume: bool = False) -> Perplexity:
    """Trains a biLM on text and writes it where `--elmo DIR` finds it.

    Args:
        config: What to train on, how large and how long.
        resume: Go on from the last checkpoint in `config.output`.

    Returns:
        The perplexity on the held-out text at the end.

    Raises:
        ConfigError: For an unknown size, or no budget; if the loss is not a number any more.
        DataError: If a corpus file cannot be read or the corpus is empty.
        RunError: If the output exists already or cannot be written, another process trains there, there
            is nothing to resume, or what is to be resumed began with another text or other settings.
        KeyboardInterrupt: If the user interrupts; a checkpoint is saved first.
    """
    options = options_of_size(config.size)
    if config.minutes is None and config.max_tokens is None:
        raise ConfigError("Say how long to train: --minutes or --tokens.")
    check_output(config.output, resume=resume)
    if resume:
        with alone_in(config.output):
            return _Pretraining(config, options, resume=True).complete()
    run = _Pretraining(config, options)  # all that can be wrong with the text is found here
    with alone_in(config.output):
        check_output(config.output, resume=False)  # another process may have trained meanwhile
        run.begin()
        return run.complete()


class _Pretraining:
    """One run: the model, its text, and its directory.

    Args:
        config: What to train on, how large and how long.
        options: The shape of the network.
        resume: Whether to begin where the checkpoint stands.
    """

    def __init__(self, config: PretrainConfig, options: BiLMOptions, *, resume: bool = False) -> None:
        self.config = config
        self.state_path = checkpoint_directory(config.output) / "state.npz"
        self.vocabulary_path = checkpoint_directory(config.output) / "vocab.txt"
        self.policy = "mixed_bfloat16" if _use_bfloat16(config.precision) else "float32"
        self.held_out = _held_out(config)
        if resume:
            self.identity = identity_of(config, options, self.policy)
            saved = Checkpoint.read(self.state_path, self.identity)
            self.vocabulary = _read_vocabulary(self.vocabulary_path)
            self.file_tokens = saved.file_tokens
        else:
            logger.info("Counting the words of %d files.", len(config.corpus))
            counts, self.file_tokens = count_words(config.corpus)
            self.vocabulary = Vocabulary.build(counts, config.vocabulary_size)
            self.identity = identity_of(config, options, self.policy)
        self.start, place = (saved.progress, saved.place) if resume else (Progress(), Place())
        keras.utils.set_random_seed(config.seed)
        self.model = LanguageModel(BiLM(options, dtype=self.policy), len(self.vocabulary), dtype="float32")
        self.model.build()
        self.optimizer = keras.optimizers.Adam(config.learning_rate, beta_2=0.99, global_clipnorm=1.0)
        self.step = make_step(self.model, self.optimizer, _signature(sampled=True))
        self.losses = tf.function(self.model, input_signature=[_signature(sampled=False)])
        self.variables = [*self.model.variables, *self.optimizer.variables]
        self.speller = Speller(options.char_cnn.max_characters_per_token, options.char_cnn.max_filter_width)
        self.negatives = NegativeSampler(len(self.vocabulary), config.num_negatives, config.seed)
        self.budget = Budget(config.minutes * 60 if config.minutes is not None else None, config.max_tokens)
        self.batches = self._batches(place)
        num_parameters, num_below = self.model.count_params(), self.model.bilm.count_params()
        logger.info(
            "biLM of %.2f M parameters, matrix products in %s; %d predicted words (%.2f M parameters, not "
            "part of the ELMo).",
            num_below / 1e6,
            self.policy.removeprefix("mixed_"),
            len(self.vocabulary),
            (num_parameters - num_below) / 1e6,
        )
        if resume:
            load_checkpoint(self.state_path, self.variables)
            logger.info(
                "Going on after %.1f min, %.2f M tokens.", self.start.seconds / 60, self.start.tokens / 1e6
            )

    def begin(self) -> None:
        """Writes what never changes."""
        files.write_text(self.vocabulary_path, self.vocabulary.to_text())

    def complete(self) -> Perplexity:
        """Trains, measures and writes; the whole run."""
        try:
            progress = self.train()
            result = self.perplexity()
        except KeyboardInterrupt:
            if self.state_path.is_file():
                logger.warning(
                    "Interrupted. A checkpoint stands in %s; go on with --resume.", self.state_path
                )
            raise
        self.finish(progress, result)
        logger.info("Done: %s. Use it with: elmo-train --elmo %s", result, self.config.output)
        return result

    def train(self) -> Progress:
        """Spends the budget and returns how far it came."""
        return fit_stream(
            self.step,
            self.optimizer,
            self.next_batch,
            budget=self.budget,
            schedule=Schedule(self.config.learning_rate),
            start=self.start,
            pause=self.pause,
            pause_every_s=self.config.checkpoint_minutes * 60,
        )

    def next_batch(self, progress: Progress) -> tuple[int, dict[str, Any]]:
        """Returns the number of tokens in the next batch and the batch."""
        sentences = self.batches.next(double=self.budget.spent(progress) >= _DOUBLE_FROM)
        batch = language_model_batch(sentences, self.vocabulary, self.speller)
        negatives, log_expected = self.negatives.draw(progress.steps)
        batch |= {"negatives": negatives, "log_expected": log_expected}
        return len(sentences) * (len(sentences[0]) + 1), batch

    def pause(self, progress: Progress) -> None:
        """Saves a checkpoint and the ELMo as it is, and measures."""
        checkpoint = Checkpoint(self.identity, progress, self.batches.place, self.file_tokens)
        checkpoint.save(self.state_path, self.variables)
        self.write_elmo()
        logger.info(
            "Checkpoint after %.1f min: %s.",
            progress.seconds / 60,
            self.perplexity(self.config.held_out_tokens),
        )

    def perplexity(self, max_tokens: int | None = None) -> Perplexity:
        """Measures on the held-out text, or on about so many tokens of it."""
        return measure_perplexity(
            self.losses,
            self.held_out,
            self.vocabulary,
            self.speller,
            batch_tokens=self.config.batch_tokens,
            max_tokens=max_tokens,
        )

    def write_elmo(self) -> None:
        """Writes what `--elmo` reads."""
        files.write_text(self.config.output / "options.json", self.model.bilm.options.to_json())
        with files.atomic_path(self.config.output / "weights.hdf5") as path:
            write_weights(self.model.bilm, path, dtype="float16")

    def finish(self, progress: Progress, result: Perplexity) -> None:
        """Writes what describes the ELMo."""
        self.write_elmo()
        files.write_text(self.config.output / "vocab.txt", self.vocabulary.to_text())
        card = model_card(
            self.config,
            self.model,
            policy=self.policy,
            progress=progress,
            result=result,
            file_tokens=self.file_tokens,
            num_bytes=(self.config.output / "weights.hdf5").stat().st_size,
        )
        files.write_text(self.config.output / "MODEL_CARD.md", card)

    def _batches(self, place: Place) -> CorpusBatches:
        config = self.config
        return CorpusBatches(
            config.corpus,
            batch_tokens=config.batch_tokens,
            max_tokens=config.max_sentence_tokens,
            lower_share=config.lower_share,
            seed=config.seed,
            num_batches=self.start.steps,
            place=place,
        )


def _read_vocabulary(path: Path) -> Vocabulary:
    try:
        return Vocabulary.from_text(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: cannot be read ({error}). Start anew with another -o.") from error


def _held_out(config: PretrainConfig) -> list[list[str]]:
    path = config.held_out or config.corpus[0]
    if config.held_out is None:
        logger.warning("No --held-out text: perplexity is measured on sentences that training sees too.")
    sentences = (tokens[: config.max_sentence_tokens] for tokens in read_sentences(path))
    held_out = list(sentences if config.held_out else itertools.islice(sentences, 0, 200_000, 100))
    if not held_out:
        raise DataError(f"{path} holds no token to measure perplexity on.")
    return held_out


def _signature(*, sampled: bool) -> dict[str, tf.TensorSpec]:
    signature = {
        name: tf.TensorSpec([None, None], tf.int32) for name in ("character_ids", "index", "targets")
    }
    if sampled:
        signature["negatives"] = tf.TensorSpec([None], tf.int32)
        signature["log_expected"] = tf.TensorSpec([None], tf.float32)
    return signature


def _use_bfloat16(precision: str) -> bool:
    if precision != "auto":
        return precision == "bfloat16"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
