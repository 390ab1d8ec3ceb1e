"""Text files → a small ELMo: options.json, weights.hdf5, vocab.txt, MODEL_CARD.md."""

import dataclasses
import itertools
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import tensorflow as tf

from elmo_cli import __version__
from elmo_cli.bilm.batches import CorpusBatches, Place, Speller, language_model_batch
from elmo_cli.bilm.corpus import Vocabulary, read_sentences
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.negatives import NegativeSampler
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.bilm.perplexity import Perplexity, measure_perplexity
from elmo_cli.bilm.weights import write_weights
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.files import atomic_path, write_text
from elmo_cli.training.stream import (
    Budget,
    Progress,
    Schedule,
    fit_stream,
    load_checkpoint,
    make_step,
    save_checkpoint,
)

logger = logging.getLogger(__name__)

# Share of the budget after which batches are doubled: small ones learn faster at first.
_DOUBLE_FROM = 1 / 3

SIZES = {
    "tiny": BiLMOptions(
        CharacterCNNOptions(8, ((1, 8), (2, 8), (3, 16), (4, 32)), num_highway=1), LSTMOptions(128, 32)
    ),
    "mini": BiLMOptions(
        CharacterCNNOptions(
            16, ((1, 16), (2, 16), (3, 32), (4, 64), (5, 96), (6, 128), (7, 160)), num_highway=1
        ),
        LSTMOptions(768, 192),
    ),
    "small": BiLMOptions(
        CharacterCNNOptions(
            16, ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024)), num_highway=1
        ),
        LSTMOptions(1024, 128),
    ),
}


@dataclass(frozen=True)
class PretrainConfig:
    """What `elmo-pretrain` is told.

    Args:
        corpus: Text files, plain or .gz, one tokenised sentence a line.
        output: Directory to make.
        held_out: A text file to measure perplexity on; without one every hundredth sentence of the
            first file is measured, which training sees too.
        size: Name of a shape in `SIZES`, or path of an options.json.
        minutes: Most training time, or None.
        max_tokens: Most tokens to train on, or None.
        vocabulary_size: Number of words that are predicted.
        batch_tokens: Tokens per batch; twice as many after a third of the budget.
        max_sentence_tokens: Longer sentences are cut into pieces.
        lower_share: Share of the sentences that are lower-cased, since many users' texts are.
        negative_tries: Draws per batch for the sampled softmax.
        learning_rate: Adam's highest step size.
        precision: ``bfloat16`` for the matrix products where the processor does them fast.
        checkpoint_minutes: Minutes between two checkpoints.
        held_out_tokens: Tokens of the held-out text measured at each checkpoint; all at the end.
        seed: Of every random choice.
    """

    corpus: tuple[Path, ...]
    output: Path
    held_out: Path | None = None
    size: str = "mini"
    minutes: float | None = 60.0
    max_tokens: int | None = None
    vocabulary_size: int = 30_000
    batch_tokens: int = 2560
    max_sentence_tokens: int = 64
    lower_share: float = 0.2
    negative_tries: int = 5000
    learning_rate: float = 4e-3
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint_minutes: float = 10.0
    held_out_tokens: int = 20_000
    seed: int = 13


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
        RunError: If the output exists already, or there is nothing to resume.
        KeyboardInterrupt: If the user interrupts; a checkpoint is saved first.
    """
    options = _options(config.size)
    if config.minutes is None and config.max_tokens is None:
        raise ConfigError("Say how long to train: --minutes or --tokens.")
    _check_output(config.output, resume=resume)
    run = _Pretraining(config, options)
    if resume:
        run.restore()
    else:
        run.begin()
    try:
        progress = run.train()
        result = run.perplexity()
    except KeyboardInterrupt:
        logger.warning("Interrupted. A checkpoint stands in %s; go on with --resume.", run.checkpoint)
        raise
    run.finish(progress, result)
    logger.info("Done: %s. Use it with: elmo-train --elmo %s", result, config.output)
    return result


class _Pretraining:
    """One run: the model, its text, and its directory.

    Args:
        config: What to train on, how large and how long.
        options: The shape of the network.
    """

    def __init__(self, config: PretrainConfig, options: BiLMOptions) -> None:
        self.config = config
        self.checkpoint = config.output / "checkpoint"
        self.held_out = _held_out(config)
        self.vocabulary = self._read_or_count_words()
        self.policy = "mixed_bfloat16" if _use_bfloat16(config.precision) else "float32"
        keras.utils.set_random_seed(config.seed)
        self.model = LanguageModel(BiLM(options, dtype=self.policy), len(self.vocabulary), dtype="float32")
        self.model.build()
        self.optimizer = keras.optimizers.Adam(config.learning_rate, beta_2=0.99, global_clipnorm=1.0)
        self.step = make_step(self.model, self.optimizer, _signature(sampled=True))
        self.losses = tf.function(self.model, input_signature=[_signature(sampled=False)])
        self.variables = [*self.model.variables, *self.optimizer.variables]
        self.speller = Speller(options.char_cnn.max_characters_per_token, options.char_cnn.max_filter_width)
        self.negatives = NegativeSampler(len(self.vocabulary), config.negative_tries, config.seed)
        self.budget = Budget(config.minutes * 60 if config.minutes is not None else None, config.max_tokens)
        self.start = Progress()
        self.batches = self._batches(Place())
        num_parameters, num_below = self.model.count_params(), self.model.bilm.count_params()
        logger.info(
            "biLM of %.2f M parameters, matrix products in %s; %d predicted words (%.2f M parameters, not "
            "part of the ELMo).",
            num_below / 1e6,
            self.policy.removeprefix("mixed_"),
            len(self.vocabulary),
            (num_parameters - num_below) / 1e6,
        )

    def begin(self) -> None:
        """Makes the directory; all that can be wrong with the text was found before."""
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        write_text(self.checkpoint / "vocab.txt", self.vocabulary.to_text())

    def restore(self) -> None:
        """Goes back to the last checkpoint."""
        load_checkpoint(self.checkpoint / "state.npz", self.variables)
        self.start, place = _read_state(self.checkpoint / "state.json")
        self.batches = self._batches(place)
        logger.info(
            "Going on after %.1f min, %.2f M tokens.", self.start.seconds / 60, self.start.tokens / 1e6
        )

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
        negatives = {
            "negatives": self.negatives.draw(progress.steps),
            "log_expected": self.negatives.log_expected,
        }
        return len(sentences) * (len(sentences[0]) + 1), batch | negatives

    def pause(self, progress: Progress) -> None:
        """Saves a checkpoint and the ELMo as it is, and measures."""
        save_checkpoint(self.checkpoint / "state.npz", self.variables)
        _write_state(self.checkpoint / "state.json", progress, self.batches.place)
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
        write_text(self.config.output / "options.json", self.model.bilm.options.to_json())
        with atomic_path(self.config.output / "weights.hdf5") as path:
            write_weights(self.model.bilm, path, dtype="float16")

    def finish(self, progress: Progress, result: Perplexity) -> None:
        """Writes what describes the ELMo."""
        self.write_elmo()
        write_text(self.config.output / "vocab.txt", self.vocabulary.to_text())
        card = _model_card(self.config, self.model, self.policy, progress, result)
        write_text(self.config.output / "MODEL_CARD.md", card)

    def _read_or_count_words(self) -> Vocabulary:
        path = self.checkpoint / "vocab.txt"
        if path.is_file():
            return Vocabulary.from_text(path.read_text(encoding="utf-8"))
        logger.info("Counting the words of %d files.", len(self.config.corpus))
        return Vocabulary.build(self.config.corpus, self.config.vocabulary_size)

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


def _check_output(output: Path, *, resume: bool) -> None:
    if resume:
        if not (output / "checkpoint" / "state.json").is_file():
            raise RunError(f"{output} holds no checkpoint to go on from. Leave out --resume to start.")
    elif output.is_file():
        raise RunError(f"{output} is a file. Choose another -o: a directory to make.")
    elif output.exists() and any(output.iterdir()):
        raise RunError(f"{output} exists and is not empty. Choose another -o, or go on with --resume.")


def _options(size: str) -> BiLMOptions:
    if size in SIZES:
        return SIZES[size]
    if Path(size).is_file():
        return BiLMOptions.from_json(Path(size))
    raise ConfigError(
        f"--size {size}: neither a known size ({', '.join(SIZES)}) nor the path of an options.json."
    )


def _held_out(config: PretrainConfig) -> list[list[str]]:
    path = config.held_out or config.corpus[0]
    if config.held_out is None:
        logger.warning("No --held-out text: perplexity is measured on sentences that training sees too.")
    sentences = (tokens[: config.max_sentence_tokens] for tokens in read_sentences(path))
    held_out = list(sentences if config.held_out else itertools.islice(sentences, 0, 200_000, 100))
    if not held_out:
        raise DataError(f"{path} holds no token to measure perplexity on.")
    return held_out


def _write_state(path: Path, progress: Progress, place: Place) -> None:
    state = {"progress": dataclasses.asdict(progress), "place": dataclasses.asdict(place)}
    write_text(path, json.dumps(state, indent=2) + "\n")


def _read_state(path: Path) -> tuple[Progress, Place]:
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        # Checkpoints of the first version know no place: they began with the first pass.
        place = Place(**state.get("place", {}))
        if place.doubled_from is not None:
            place = dataclasses.replace(place, doubled_from=(place.doubled_from[0], place.doubled_from[1]))
        return Progress(**state["progress"]), place
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise RunError(f"{path}: not the state of a checkpoint ({error}).") from error


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


def _model_card(
    config: PretrainConfig, model: LanguageModel, policy: str, progress: Progress, result: Perplexity
) -> str:
    options = model.bilm.options
    lstm, cnn = options.lstm, options.char_cnn
    measured_on = config.held_out.name if config.held_out else "sentences of the training text"
    rows = {
        "network": f"{lstm.num_layers} x LSTM {lstm.dim}, projection {lstm.projection_dim}, two directions; "
        f"character CNN of {cnn.num_filters} filters, {cnn.num_highway} highway",
        "parameters": f"{model.bilm.count_params() / 1e6:.2f} M, half precision on disk",
        "layers x width": f"{options.num_layers} x {options.dim}",
        "trained on": f"{progress.tokens / 1e6:.1f} M tokens in {progress.seconds / 60:.0f} minutes, "
        f"{progress.steps} steps",
        "precision, seed": f"{policy}, {config.seed}",
        "predicted words": f"{model.vocabulary_size}, lower-cased",
        "perplexity": f"{result.forward:.1f} forward, {result.backward:.1f} backward on {result.tokens} "
        f"tokens ({measured_on}), {result.unknown_share:.1%} of them outside the vocabulary",
    }
    lines = [
        f"# ELMo pre-trained with elmo-pretrain {__version__}",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows.items()),
        "",
        "Text:",
        *(f"- {path.name}" for path in config.corpus),
    ]
    return "\n".join(lines) + "\n"
