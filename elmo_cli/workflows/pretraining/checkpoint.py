"""The one file from which a killed pre-training goes on, and what it must agree with."""

import dataclasses
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import keras

from elmo_cli import files
from elmo_cli.bilm.batches import Place
from elmo_cli.bilm.held_out import HeldOut
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.sizes import SIZES
from elmo_cli.errors import ConfigError, DataError, RunError
from elmo_cli.training.early_stopping import StoppingState
from elmo_cli.training.stream import Progress, read_facts, save_checkpoint
from elmo_cli.workflows.pretraining.config import PretrainConfig
from elmo_cli.workflows.pretraining.corpus import PretrainCorpus
from elmo_cli.workflows.pretraining.log import LogEntry
from elmo_cli.workflows.pretraining.text import TextFile

logger = logging.getLogger(__name__)

FORMAT = 2  # version 1 was two files

Identity = dict[str, str | int | float]

# Larger corpora are told apart by names and sizes only: reading them takes too long.
_MOST_BYTES_HASHED = 1 << 30

# What may change between two processes, or is compared in another way below: how long, where to, and what is
# measured and written besides.
_FREE = {
    "corpus",
    "output",
    "held_out",
    "data",
    "size",
    "vocabulary",
    "init",
    "minutes",
    "max_tokens",
    "precision",
    "checkpoint_minutes",
    "held_out_tokens",
    "licence",
}

_OF_TABLES = ("text_column", "format", "delimiter", "encoding", "quoting", "header")

# Settings that elmo-pretrain has no flag for: they differ only between versions, or where Python sets them.
_WITHOUT_FLAG = {"--num-negatives", "--max-sentence-tokens", "--lower-share", "--held-out-tokens"}

_NEGATIVES = {"--cased": "--lower-cased", "--quoting": "--no-quoting", "--header": "--no-header"}


@dataclass(frozen=True)
class Checkpoint:
    """Where a pre-training stands, its variables aside.

    Args:
        identity: See `identity_of`.
        progress: How far its present phase is.
        place: Where in the text the phase stands.
        file_tokens: Number of tokens in each file of the corpus.
        held_out: Which sentences of the corpus training does not see.
        cased: Whether the words that are predicted keep their case.
        measured: SHA-256 of the text that is measured on; None in checkpoints that do not know it.
        phase: Number of the phase, from 0.
        earlier: How far the phases before it came.
        stopping: What early stopping needs to go on, in phases that have it.
        log: What was measured so far.
        commands: The command lines so far, the first one first.
        minutes: Most training time as it was told last, or None; see `with_budget`.
        max_tokens: Most tokens to train on, the same.
    """

    identity: Identity
    progress: Progress
    place: Place
    file_tokens: tuple[int, ...]
    held_out: HeldOut = field(default_factory=HeldOut)
    cased: bool = False
    measured: str | None = None
    phase: int = 0
    earlier: Progress = field(default_factory=Progress)
    stopping: StoppingState | None = None
    log: tuple[LogEntry, ...] = ()
    commands: tuple[str, ...] = ()
    minutes: float | None = None
    max_tokens: int | None = None

    @classmethod
    def at_start(cls, identity: Identity, corpus: PretrainCorpus) -> Self:
        """Returns where a training stands that has not begun."""
        return cls(
            identity,
            Progress(),
            Place(),
            corpus.file_tokens,
            corpus.held_out,
            corpus.vocabulary.cased,
            corpus.measured_sha256,
        )

    def save(self, path: Path, variables: list[keras.Variable]) -> None:
        """Writes it with the values of the variables into one file, whole or not at all."""
        save_checkpoint(path, variables, {"format": FORMAT, **dataclasses.asdict(self)})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads it back; the variables are read by `training.stream.load_checkpoint`.

        Raises:
            RunError: If the file cannot be read or is of another version.
        """
        facts = read_facts(path)
        version = facts.pop("format", None)
        if version != FORMAT:
            raise RunError(
                f"{path}: a checkpoint of another version of elmo-cli (format {version}, "
                f"expected {FORMAT}). Start anew with another -o."
            )
        try:
            return cls(**{name: _READERS.get(name, _as_it_is)(value) for name, value in facts.items()})
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}: not the state of a pre-training ({error}).") from error

    def with_budget(self, path: Path, config: PretrainConfig) -> PretrainConfig:
        """Returns what a training is told that goes on, with the budget it had where none is given now.

        Raises:
            ConfigError: If none is given, and the checkpoint is of a version that did not keep it.
        """
        if config.minutes is not None or config.max_tokens is not None:
            return config
        if self.minutes is None and self.max_tokens is None:
            raise ConfigError(
                f"{path} does not know how long this training was to be. Say it: --minutes or --tokens, "
                "counted from its beginning."
            )
        minutes = [] if self.minutes is None else [f"--minutes {self.minutes:g}"]
        tokens = [] if self.max_tokens is None else [f"--tokens {self.max_tokens}"]
        logger.info("Its budget stays as it was: %s.", " ".join(minutes + tokens))
        return dataclasses.replace(config, minutes=self.minutes, max_tokens=self.max_tokens)

    def check_identity(self, path: Path, now: Identity) -> None:
        """Compares with the training that wants to go on.

        Raises:
            RunError: If this one began with another text or other settings; the first difference is named.
        """
        for name in [*self.identity, *(name for name in now if name not in self.identity)]:
            if self.identity.get(name) != now.get(name):
                raise RunError(
                    f"{path}: the training began with other text or settings. {_called(name)}: it was "
                    f"{_said(name, self.identity)}, it is {_said(name, now)}. Go on with what it began with, "
                    "or start anew with another -o."
                )

    def check_measured(self, path: Path, corpus: PretrainCorpus) -> None:
        """Compares the text to measure on, which decides what the best weights so far are.

        Raises:
            RunError: If this training measured on another one.
        """
        if self.measured not in (None, corpus.measured_sha256):
            raise RunError(
                f"{path}: the best weights so far were chosen on another text to measure on. Go on with the "
                "--held-out it began with, or start anew with another -o."
            )


def _read_place(facts: dict[str, Any]) -> Place:
    doubled_from = facts.pop("doubled_from")
    pool_tokens = facts.pop("pool_tokens", None)  # former versions knew no limit
    return Place(**facts, doubled_from=tuple(doubled_from) if doubled_from else None, pool_tokens=pool_tokens)


def _as_it_is(value: Any) -> Any:
    return value


_READERS: dict[str, Callable[[Any], Any]] = {
    "progress": lambda facts: Progress(**facts),
    "place": _read_place,
    "file_tokens": tuple,
    "held_out": lambda facts: HeldOut(**facts),
    "earlier": lambda facts: Progress(**facts),
    "stopping": lambda facts: StoppingState(**facts) if facts else None,
    "log": lambda entries: tuple(LogEntry.read(entry) for entry in entries),
    "commands": tuple,
}


def identity_of(
    config: PretrainConfig, options: BiLMOptions, policy: str, texts: Sequence[TextFile], init: str | None
) -> Identity:
    """Returns all that decides the next step of a training, apart from where it stands.

    Args:
        config: What the training is told.
        options: The shape of the network.
        policy: Name of the dtype policy.
        texts: The texts of the corpus.
        init: Fingerprint of the ELMo it began with, or None.

    Returns:
        What messages call it, to its value. Files are known by name, size and, when they are 1 GiB or
        less together, SHA-256; where they lie does not matter.

    Raises:
        DataError: If a file of the corpus cannot be read.
    """
    told = {key: value for key, value in vars(config).items() if key not in _FREE}
    told |= {key: getattr(config.data, key) for key in _OF_TABLES} | {
        "init": init,
        "learning_rate": config.highest_rate,
    }
    # What was not given is left out: a setting that is new does not keep older trainings from going on.
    settings = {f"--{key.replace('_', '-')}": value for key, value in told.items() if value is not None}
    if init is not None:
        # The best weights so far are the best on so much of the text; see `Checkpoint.check_measured`.
        settings["--held-out-tokens"] = config.held_out_tokens
    identity: Identity = {"number of text files": len(texts)}
    paths = [text.source for text in texts]
    try:
        sizes = [path.stat().st_size for path in paths]
        for i, (path, size) in enumerate(zip(paths, sizes, strict=True)):
            content = f", SHA-256 {files.sha256(path)}" if sum(sizes) <= _MOST_BYTES_HASHED else ""
            identity[f"text file {i + 1}"] = f"{path.name}, {size} bytes{content}"
        if config.vocabulary is not None:
            settings["--vocabulary"] = f"SHA-256 {files.sha256(config.vocabulary)}"
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}).") from error
    return identity | {"--size": _size(options), "--precision": policy} | settings


def _size(options: BiLMOptions) -> str:
    return json.dumps(options.to_dict())


def _called(name: str) -> str:
    """Returns what a message calls a part of an identity: a flag only where there is one."""
    if name == "--init":
        return "ELMo to begin with"  # elmo-train has another flag for it
    if name not in _WITHOUT_FLAG:
        return name
    return f"setting {name.removeprefix('--').replace('-', '_')} (of Python, or another version of elmo-cli)"


def _said(name: str, identity: Identity) -> str:
    """Returns the value of a part of an identity as it would be given to its flag."""
    value = identity.get(name)
    if value is None or value is True:
        return "not given" if value is None else "given"
    if value is False:
        return _NEGATIVES[name]
    text = str(value)
    if name == "--init":
        text = f"one with the fingerprint {text}"
    elif name == "--precision":
        text = text.removeprefix("mixed_")
    elif name == "--size":
        text = next((size for size in SIZES if _size(SIZES[size]) == text), text)
    return text if len(text) <= 300 else f"{text[:300]}..."
