"""Text files → a small ELMo: options.json, weights.hdf5, vocab.txt, MODEL_CARD.md."""

import dataclasses
import itertools
import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from elmo_cli import __version__
from elmo_cli.bilm.corpus import NegativeSampler, Speller, Vocabulary, equal_length_batches, read_sentences
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
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
        batch_tokens: Tokens per batch; doubled after a third of the budget.
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


@dataclass(frozen=True)
class Perplexity:
    """How well a language model predicts held-out text, over its whole vocabulary.

    Args:
        forward: Perplexity per token from left to right, the sentence's end mark included.
        backward: The same from right to left.
        unknown_share: Share of those tokens that are outside the vocabulary; they count as the
            unknown word.
        tokens: Tokens measured, per direction.
    """

    forward: float
    backward: float
    unknown_share: float
    tokens: int

    def __str__(self) -> str:
        return (
            f"held-out perplexity {self.forward:.1f} forward, {self.backward:.1f} backward "
            f"({self.tokens} tokens, {self.unknown_share:.1%} outside the vocabulary)"
        )


def pretrain(config: PretrainConfig, *, resume: bool = False) -> Perplexity:
    """Trains a biLM on text and writes it where `--elmo DIR` finds it.

    Args:
        config: What to train on, how large and how long.
        resume: Go on from the last checkpoint in `config.output`.

    Returns:
        The perplexity on the held-out text at the end.

    Raises:
        ConfigError: For an unknown size, or no budget.
        DataError: If a corpus file cannot be read or the corpus is empty.
        RunError: If the output exists already, or there is nothing to resume.
    """
    options = _options(config.size)
    if config.minutes is None and config.max_tokens is None:
        raise ConfigError("Say how long to train: --minutes or --tokens.")
    checkpoint = config.output / "checkpoint"
    if resume and not (checkpoint / "state.json").is_file():
        raise RunError(f"{config.output} holds no checkpoint to go on from. Leave out --resume to start.")
    if not resume and config.output.exists() and any(config.output.iterdir()):
        raise RunError(f"{config.output} exists and is not empty. Choose another -o, or go on with --resume.")
    checkpoint.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary(config, checkpoint)

    keras.utils.set_random_seed(config.seed)
    policy = "mixed_bfloat16" if _use_bfloat16(config.precision) else "float32"
    logger.info("Matrix products in %s.", policy.removeprefix("mixed_"))
    model = LanguageModel(BiLM(options, dtype=policy), len(vocabulary), dtype="float32")
    model.build()
    logger.info(
        "biLM of %.2f M parameters, %d predicted words (%.2f M parameters, not part of the ELMo).",
        model.bilm.count_params() / 1e6,
        len(vocabulary),
        (model.count_params() - model.bilm.count_params()) / 1e6,
    )
    optimizer = keras.optimizers.Adam(config.learning_rate, beta_2=0.99, global_clipnorm=1.0)
    sampler = NegativeSampler(len(vocabulary), config.negative_tries, config.seed)
    speller = Speller(
        options.char_cnn.max_characters_per_token, max(width for width, _ in options.char_cnn.filters)
    )
    step = make_step(model, optimizer, _signature(sampled=True))
    measure = tf.function(lambda batch: model(batch), input_signature=[_signature(sampled=False)])
    state = [*model.variables, *optimizer.variables]

    start = Progress()
    if resume:
        saved = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        start = Progress(**saved["progress"])
        load_checkpoint(checkpoint / "state.npz", state)
        logger.info("Going on after %.1f min, %.2f M tokens.", start.seconds / 60, start.tokens / 1e6)
    budget = Budget(config.minutes * 60 if config.minutes is not None else None, config.max_tokens)
    position = {"progress": start}

    held_out = _held_out(config)

    def perplexity(most_tokens: int | None) -> Perplexity:
        return _perplexity(measure, held_out, vocabulary, speller, config.batch_tokens, most_tokens)

    def pause(progress: Progress) -> None:
        save_checkpoint(checkpoint / "state.npz", state)
        write_text(
            checkpoint / "state.json", json.dumps({"progress": dataclasses.asdict(progress)}, indent=2) + "\n"
        )
        _write_elmo(config.output, model.bilm)
        logger.info(
            "Checkpoint after %.1f min: %s.", progress.seconds / 60, perplexity(config.held_out_tokens)
        )

    def batches() -> Iterator[tuple[int, dict[str, Any]]]:
        def batch_tokens() -> int:
            return config.batch_tokens * (1 if budget.spent(position["progress"]) < 1 / 3 else 2)

        skip = start.steps
        for epoch in itertools.count():
            found = False
            for sentences in equal_length_batches(
                config.corpus,
                batch_tokens=batch_tokens,
                max_tokens=config.max_sentence_tokens,
                lower_share=config.lower_share,
                seed=config.seed + epoch,
            ):
                found = True
                if skip:
                    skip -= 1
                    continue
                batch = _batch(sentences, vocabulary, speller)
                batch |= {"negatives": sampler.draw(), "log_expected": sampler.log_expected}
                num_tokens = sum(len(tokens) + 1 for tokens in sentences)
                before = position["progress"]
                position["progress"] = dataclasses.replace(before, tokens=before.tokens + num_tokens)
                yield num_tokens, batch
            if not found:
                raise DataError("The corpus is empty: no file holds a token.")
            logger.info("The whole corpus was seen %d times.", epoch + 1)

    try:
        progress = fit_stream(
            step,
            optimizer,
            batches(),
            budget=budget,
            schedule=Schedule(config.learning_rate),
            start=start,
            pause=pause,
            pause_every_s=config.checkpoint_minutes * 60,
        )
    except KeyboardInterrupt:
        logger.warning("Interrupted. The last checkpoint stands in %s; go on with --resume.", checkpoint)
        raise
    result = perplexity(None)
    _write_elmo(config.output, model.bilm)
    write_text(config.output / "vocab.txt", vocabulary.to_text())
    write_text(config.output / "MODEL_CARD.md", _model_card(config, options, model, policy, progress, result))
    logger.info("Done: %s. Use it with: elmo-train --elmo %s", result, config.output)
    return result


def _options(size: str) -> BiLMOptions:
    if size in SIZES:
        return SIZES[size]
    if Path(size).is_file():
        return BiLMOptions.from_json(Path(size))
    raise ConfigError(
        f"--size {size}: neither a known size ({', '.join(SIZES)}) nor the path of an options.json."
    )


def _vocabulary(config: PretrainConfig, checkpoint: Path) -> Vocabulary:
    """Counts the words of the corpus, once: a resumed run reads what was counted."""
    path = checkpoint / "vocab.txt"
    if path.is_file():
        return Vocabulary.from_text(path.read_text(encoding="utf-8"))
    logger.info("Counting the words of %d files.", len(config.corpus))
    vocabulary = Vocabulary.build(config.corpus, config.vocabulary_size)
    write_text(path, vocabulary.to_text())
    return vocabulary


def _held_out(config: PretrainConfig) -> list[list[str]]:
    path = config.held_out or config.corpus[0]
    if config.held_out is None:
        logger.warning("No --held-out text: perplexity is measured on sentences that training sees too.")
    sentences = (tokens[: config.max_sentence_tokens] for tokens in read_sentences(path))
    held_out = list(sentences if config.held_out else itertools.islice(sentences, 0, 200_000, 100))
    if not held_out:
        raise DataError(f"{path} holds no token to measure perplexity on.")
    return held_out


def _perplexity(
    measure: Any,
    sentences: Sequence[list[str]],
    vocabulary: Vocabulary,
    speller: Speller,
    batch_tokens: int,
    most_tokens: int | None,
) -> Perplexity:
    """Averages over sentences spread evenly over the held-out text, `most_tokens` at most."""
    total = sum(len(tokens) + 1 for tokens in sentences)
    stride = 1 if most_tokens is None else max(1, -(-total // most_tokens))
    by_length: dict[int, list[list[str]]] = defaultdict(list)
    for tokens in sentences[::stride]:
        by_length[len(tokens)].append(tokens)
    nats, seen, unknown = np.zeros(2), 0, 0
    for length, group in by_length.items():
        rows = max(1, batch_tokens // (length + 1))
        for at in range(0, len(group), rows):
            batch = _batch(group[at : at + rows], vocabulary, speller)
            size = batch["targets"].shape[0] * (length + 1)
            nats += measure(batch).numpy().astype(np.float64) * size
            seen += size
            unknown += int((batch["targets"] == 2).sum())
    forward, backward = np.exp(nats / seen)
    return Perplexity(float(forward), float(backward), unknown / seen, seen)


def _batch(sentences: list[list[str]], vocabulary: Vocabulary, speller: Speller) -> dict[str, Any]:
    character_ids, index = speller.spell(sentences)
    targets = np.asarray([vocabulary.ids(tokens) for tokens in sentences], np.int32)
    return {"character_ids": character_ids, "index": index, "targets": targets}


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


def _write_elmo(directory: Path, bilm: BiLM) -> None:
    write_text(directory / "options.json", bilm.options.to_json())
    with atomic_path(directory / "weights.hdf5") as path:
        write_weights(bilm, path, dtype="float16")


def _model_card(
    config: PretrainConfig,
    options: BiLMOptions,
    model: LanguageModel,
    policy: str,
    progress: Progress,
    result: Perplexity,
) -> str:
    lstm = options.lstm
    files = "\n".join(f"- {path.name}" for path in config.corpus)
    return f"""# ELMo pre-trained with elmo-pretrain {__version__}

| | |
|---|---|
| network | {lstm.num_layers} x LSTM {lstm.dim}, projection {lstm.projection_dim}, two directions; character CNN of \
{options.char_cnn.num_filters} filters, {options.char_cnn.num_highway} highway |
| parameters | {model.bilm.count_params() / 1e6:.2f} M, half precision on disk |
| layers x width | {options.num_layers} x {options.dim} |
| trained on | {progress.tokens / 1e6:.1f} M tokens in {progress.seconds / 60:.0f} minutes, {progress.steps} steps |
| precision, seed | {policy}, {config.seed} |
| predicted words | {model.vocabulary_size}, lower-cased |
| perplexity | {result.forward:.1f} forward, {result.backward:.1f} backward on {result.tokens} held-out tokens \
({config.held_out.name if config.held_out else "of the training text"}), {result.unknown_share:.1%} of them \
outside the vocabulary |

Text:
{files}
"""
