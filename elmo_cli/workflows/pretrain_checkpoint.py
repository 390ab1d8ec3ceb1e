"""The one file from which a killed pre-training goes on, and what it must agree with."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import keras

from elmo_cli import files
from elmo_cli.bilm.batches import Place
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.errors import DataError, RunError
from elmo_cli.training.stream import Progress, read_facts, save_checkpoint
from elmo_cli.workflows.pretrain_config import PretrainConfig

FORMAT = 2  # version 1 was two files

Identity = dict[str, str | int | float]

# Larger corpora are told apart by names and sizes only: reading them takes too long.
_MOST_BYTES_HASHED = 1 << 30

# What may change between two processes: how long, where to, and what is measured and written besides.
_FREE = {
    "corpus",
    "output",
    "held_out",
    "data",
    "size",
    "minutes",
    "max_tokens",
    "precision",
    "checkpoint_minutes",
    "held_out_tokens",
    "licence",
}

_OF_TABLES = ("text_column", "format", "delimiter", "encoding", "quoting", "header")


@dataclass(frozen=True)
class Checkpoint:
    """Where a pre-training stands, its variables aside.

    Args:
        identity: See `identity_of`.
        progress: How far it is.
        place: Where in the text it stands.
        file_tokens: Number of tokens in each file of the corpus.
    """

    identity: Identity
    progress: Progress
    place: Place
    file_tokens: tuple[int, ...]

    def save(self, path: Path, variables: list[keras.Variable]) -> None:
        """Writes it with the values of the variables into one file, whole or not at all."""
        save_checkpoint(path, variables, {"format": FORMAT, **dataclasses.asdict(self)})

    @classmethod
    def read(cls, path: Path, identity: Identity) -> Self:
        """Reads it back; the variables are read by `training.stream.load_checkpoint`.

        Args:
            path: The file.
            identity: That of the training that wants to go on.

        Raises:
            RunError: If the file cannot be read, is of another version, or began with another text or
                other settings; the first difference is named.
        """
        facts = read_facts(path)
        if facts.get("format") != FORMAT:
            raise RunError(
                f"{path}: a checkpoint of another version of elmo-cli (format {facts.get('format')}, "
                f"expected {FORMAT}). Start anew with another -o."
            )
        try:
            place = Place(**facts["place"])
            if place.doubled_from is not None:
                number, pool = place.doubled_from
                place = dataclasses.replace(place, doubled_from=(number, pool))
            checkpoint = cls(
                dict(facts["identity"]), Progress(**facts["progress"]), place, tuple(facts["file_tokens"])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"{path}: not the state of a pre-training ({error}).") from error
        _refuse_difference(path, checkpoint.identity, identity)
        return checkpoint


def identity_of(config: PretrainConfig, options: BiLMOptions, policy: str) -> Identity:
    """Returns all that decides the next step of a training, apart from where it stands.

    Args:
        config: What the training is told.
        options: The shape of the network.
        policy: Name of the dtype policy.

    Returns:
        What messages call it, to its value. Files are known by name, size and, when they are 1 GiB or
        less together, SHA-256; where they lie does not matter.

    Raises:
        DataError: If a file of the corpus cannot be read.
    """
    told = {key: value for key, value in vars(config).items() if key not in _FREE}
    told |= {key: getattr(config.data, key) for key in _OF_TABLES}
    # What was not given is left out: a setting that is new does not keep older trainings from going on.
    settings = {f"--{key.replace('_', '-')}": value for key, value in told.items() if value is not None}
    identity: Identity = {"number of text files": len(config.corpus)}
    try:
        sizes = [path.stat().st_size for path in config.corpus]
        for i, (path, size) in enumerate(zip(config.corpus, sizes, strict=True)):
            content = f", SHA-256 {files.sha256(path)}" if sum(sizes) <= _MOST_BYTES_HASHED else ""
            identity[f"text file {i + 1}"] = f"{path.name}, {size} bytes{content}"
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}).") from error
    return identity | {"--size": json.dumps(options.to_dict()), "--precision": policy} | settings


def _refuse_difference(path: Path, began: Identity, now: Identity) -> None:
    for name in [*began, *(name for name in now if name not in began)]:
        if began.get(name) != now.get(name):
            raise RunError(
                f"{path}: the training began with other text or settings. {name}: it was "
                f"{_short(began.get(name))}, it is {_short(now.get(name))}. Go on with what it began with, "
                "or start anew with another -o."
            )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}..."
