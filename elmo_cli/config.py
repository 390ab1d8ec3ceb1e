"""Everything a run is told, as frozen dataclasses that read from and write to YAML."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from elmo_cli.errors import ConfigError

POOLINGS = ("mean", "max")


@dataclass(frozen=True)
class DataConfig:
    """Which tables are read, and how.

    Args:
        train: Path of the training table.
        valid: Path of a validation table; without one a part of the training table is split off.
        test: Path of a table that is evaluated once, after training.
        validation_fraction: Share of the training rows, in (0, 1), for that split.
        text_column: Name or number (from 1) of the text column; found by its name when absent.
        label_column: The same for the label column.
        format: Table format; told from file name and content when absent.
        delimiter: One character between cells; sniffed when absent.
        encoding: Text encoding; sniffed when absent.
        quoting: Whether ``"`` quotes cells; sniffed when absent.
        header: Whether the first row names the columns; sniffed when absent.
        drop_unlabelled: Drop rows without a label instead of refusing them.
        drop_empty: Drop rows without text instead of refusing them.
    """

    train: str | None = None
    valid: str | None = None
    test: str | None = None
    validation_fraction: float = 0.1
    text_column: str | None = None
    label_column: str | None = None
    format: Literal["csv", "tsv", "jsonl", "parquet", "lines"] | None = None
    delimiter: str | None = None
    encoding: str | None = None
    quoting: bool | None = None
    header: bool | None = None
    drop_unlabelled: bool = False
    drop_empty: bool = False


@dataclass(frozen=True)
class TextConfig:
    """How a text becomes a space-joined sentence of limited length.

    Args:
        tokenizer: ``treebank`` splits as ELMo's training text was split; ``whitespace`` is for
            text that is tokenised already.
        max_length: Most tokens kept of a text: a number, ``longest``, or a percentile of the
            lengths such as ``p99``.
        max_length_from: The tables whose lengths are measured: ``train``, or ``all`` for the
            validation and test tables too.
    """

    tokenizer: Literal["treebank", "whitespace"] = "treebank"
    max_length: int | str = "p99"
    max_length_from: Literal["train", "all"] = "train"


@dataclass(frozen=True)
class ElmoConfig:
    """Where the embeddings come from.

    Args:
        handle: ``bundled``, a TensorFlow Hub URL, a directory, a .tar.gz, an AllenNLP directory,
            or ``OPTIONS.json,WEIGHTS.hdf5``.
        trainable: ``none`` keeps everything of ELMo fixed; ``mix`` learns the mix of its layers.
        batch_tokens: Most tokens (rows times longest row) embedded at once.
    """

    handle: str = "bundled"
    trainable: Literal["none", "mix"] = "mix"
    batch_tokens: int = 8192


@dataclass(frozen=True)
class ClassifierConfig:
    """What is trained on top of ELMo.

    Args:
        pool: How token vectors become one vector: any of ``mean``, ``max``; several are joined.
        hidden: Widths of the dense hidden layers; empty for a linear classifier.
        dropout: Share of inputs dropped in training, in [0, 1).
        mix_l2: L2 penalty on the parameters of the layer mix.
    """

    pool: tuple[str, ...] = POOLINGS
    hidden: tuple[int, ...] = ()
    dropout: float = 0.5
    mix_l2: float = 0.001


@dataclass(frozen=True)
class TrainingConfig:
    """How the classifier is trained.

    Args:
        epochs: Most passes over the training rows.
        batch_size: Rows per step.
        learning_rate: Adam's step size.
        patience: Epochs without a better validation loss after which training stops.
        class_weight: ``balanced`` weighs rare classes up.
        device: ``auto`` takes a GPU where there is one.
    """

    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    patience: int = 5
    class_weight: Literal["none", "balanced"] = "none"
    device: Literal["auto", "cpu", "gpu"] = "auto"


@dataclass(frozen=True)
class RunConfig:
    """A whole run: data, text, ELMo, classifier, training, and the seed of every random choice."""

    data: DataConfig = field(default_factory=DataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    elmo: ElmoConfig = field(default_factory=ElmoConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 13


def load_config(path: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Builds a checked configuration from the defaults, a YAML file and overrides, in that order.

    Args:
        path: YAML file; its keys are those of `RunConfig`, nested.
        overrides: Dotted key to value, for example ``{"training.epochs": 5}``; a string value is
            read as YAML, so that ``"5"`` becomes a number where one is expected.

    Returns:
        The configuration, validated.

    Raises:
        ConfigError: For an unreadable file, an unknown key, or a value of the wrong type or range.
    """
    ...


def parse_override(text: str) -> tuple[str, str]:
    """Splits ``"training.epochs=5"`` into key and value; raises ConfigError without a ``=``."""
    ...


def to_yaml(config: RunConfig) -> str:
    """Returns the configuration as YAML that `load_config` reads back to an equal one."""
    ...
