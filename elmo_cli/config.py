"""Everything a run is told, as frozen dataclasses; `config_yaml` reads and writes them."""

import codecs
import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from elmo_cli.errors import ConfigError

FIXED_POOLINGS = ("mean", "max")  # nothing in them is learned: each layer is pooled once, before training
POOLINGS = (*FIXED_POOLINGS, "attention")
PrecisionSetting = Literal["auto", "float32", "bfloat16"]
MAX_SEED = 2**32 - 1  # NumPy's legacy generator takes no more


def _check(holds: bool, key: str, allowed: str, value: Any) -> None:
    """Raises ConfigError naming key, allowed and received value unless the condition holds."""
    if not holds:
        raise ConfigError(f"{key} must be {allowed}; received {value!r}.")


@dataclass(frozen=True)
class DataConfig:
    r"""Which tables are read, and how.

    Args:
        train: Path of the training table.
        valid: Path of a validation table; without one a part of the training table is split off.
        test: Path of a table that is evaluated once, after training.
        validation_fraction: Share of the training rows, in (0, 1), for that split.
        text_column: Name or number (from 1) of the text column; found by its name when absent.
        label_column: The same for the label column.
        format: Table format; told from file name and content when absent.
        delimiter: One character between cells (``\t`` is read as a tab); sniffed when absent.
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

    def __post_init__(self) -> None:
        """Checks ranges; a delimiter written as backslash and t becomes a tab."""
        if self.delimiter == "\\t":
            object.__setattr__(self, "delimiter", "\t")
        fraction, delimiter = self.validation_fraction, self.delimiter
        _check(0 < fraction < 1, "data.validation_fraction", "above 0 and below 1", fraction)
        one_character = delimiter is None or (len(delimiter) == 1 and delimiter not in '"\r\n')
        _check(
            one_character, "data.delimiter", "one character, no quote or line end (\\t is a tab)", delimiter
        )
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except (LookupError, ValueError) as error:
                raise ConfigError(
                    f"data.encoding must be an encoding Python knows, such as utf-8 or cp1252; "
                    f"received {self.encoding!r}."
                ) from error
        if self.text_column is not None and self.text_column == self.label_column:
            raise ConfigError(
                f"data.text_column and data.label_column must be two columns; both are {self.text_column!r}."
            )


def percentile(policy: str) -> float | None:
    """Returns Q of a policy ``pQ`` such as ``p99`` or ``p99.5``, in (0, 100]; None for any other text."""
    match = re.fullmatch(r"p([0-9]+(?:\.[0-9]+)?)", policy)
    return float(match[1]) if match and 0 < float(match[1]) <= 100 else None


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

    def __post_init__(self) -> None:
        """Checks the maximum length."""
        value = self.max_length
        known = value == "longest" or percentile(str(value)) is not None
        holds = known if isinstance(value, str) else value >= 1
        _check(holds, "text.max_length", "a number from 1, longest, or a percentile such as p99", value)


@dataclass(frozen=True)
class ElmoConfig:
    """Where the embeddings come from.

    Args:
        handle: ``bundled``, a TensorFlow Hub URL, a directory, a .tar.gz, an AllenNLP directory,
            or ``OPTIONS.json,WEIGHTS.hdf5``.
        trainable: ``none`` keeps everything of ELMo fixed; ``mix`` learns the mix of its layers; ``top`` its
            upper LSTM layer, too; ``all`` everything. See `FineTuningConfig`.
        adapt: Whether a native ELMo is adapted to the training texts first; it is then part of the run.
        adapt_minutes: Most minutes for that, above 0; it ends earlier where nothing gets better.
        precision: Of the matrix products inside a native ELMo: ``bfloat16``, ``float32``, or ``auto``, which
            is bfloat16 where the processor has instructions for it.
        batch_tokens: Most tokens (rows times longest row) embedded at once; when absent, as many as take
            about 1 GB.
        memory_bytes: Most bytes of vectors of a table in memory; more than that are in a temporary file.
        bundle: Whether the run keeps a copy of its ELMo, so that it needs nothing else. A run that changed
            its ELMo always does.
    """

    handle: str = "bundled"
    trainable: Literal["none", "mix", "top", "all"] = "mix"
    adapt: bool = False
    adapt_minutes: float = 10.0
    precision: PrecisionSetting = "auto"
    batch_tokens: int | None = None
    memory_bytes: int = 2_000_000_000
    bundle: bool = False

    @property
    def fine_tuned(self) -> bool:
        """Whether weights of ELMo itself learn the task."""
        return self.trainable in ("top", "all")

    def __post_init__(self) -> None:
        """Checks ranges."""
        _check(bool(self.handle.strip()), "elmo.handle", "bundled, a URL or a path", self.handle)
        positive = self.batch_tokens is None or self.batch_tokens >= 1
        _check(positive, "elmo.batch_tokens", "at least 1", self.batch_tokens)
        finite = 0 < self.adapt_minutes < math.inf
        _check(finite, "elmo.adapt_minutes", "a positive number", self.adapt_minutes)
        _check(self.memory_bytes >= 0, "elmo.memory_bytes", "at least 0", self.memory_bytes)


@dataclass(frozen=True)
class ClassifierConfig:
    """What is trained on top of ELMo.

    Args:
        pool: How token vectors become one vector: any of ``mean``, ``max``, ``attention``; several are
            joined. Attention is learned, and needs the vectors of all tokens in memory or in a file.
        layers: ``joined`` sets the layers of ELMo side by side, each scaled by its share in the mix;
            ``mixed`` adds them up, as the ELMo paper does. Attention always works on mixed layers.
        hidden: Widths of the dense hidden layers; empty for a linear classifier; ``auto`` is a linear one
            with an L2 penalty for few rows, else one hidden layer.
        dropout: Share of inputs dropped in training, in [0, 1); none by the linear one of ``auto``.
        mix_l2: L2 penalty on the weights of the layer mix.
        features: ``elmo``, or ``elmo+tfidf``: weighted n-grams of words and characters have their say beside
            ELMo.
    """

    pool: tuple[str, ...] = FIXED_POOLINGS
    layers: Literal["joined", "mixed"] = "joined"
    hidden: tuple[int, ...] | Literal["auto"] = "auto"
    dropout: float = 0.5
    mix_l2: float = 0.001
    features: Literal["elmo", "elmo+tfidf"] = "elmo+tfidf"

    def __post_init__(self) -> None:
        """Checks ranges and the names of the poolings."""
        known = bool(self.pool) and all(name in POOLINGS for name in self.pool)
        allowed = f"one or more of {', '.join(POOLINGS)}, each once"
        _check(known and len(set(self.pool)) == len(self.pool), "classifier.pool", allowed, self.pool)
        positive = isinstance(self.hidden, str) or all(width >= 1 for width in self.hidden)
        _check(positive, "classifier.hidden", "auto or widths of at least 1", self.hidden)
        _check(0 <= self.dropout < 1, "classifier.dropout", "at least 0 and below 1", self.dropout)
        finite = 0 <= self.mix_l2 < math.inf
        _check(finite, "classifier.mix_l2", "0 or a positive number", self.mix_l2)


@dataclass(frozen=True)
class TrainingConfig:
    """How the classifier is trained.

    Args:
        epochs: Most passes over the training rows.
        batch_size: Rows per step.
        learning_rate: Adam's step size.
        patience: Epochs without a better validation loss after which training stops; at least 0.
        class_weight: ``balanced`` weighs rare classes up.
        device: ``auto`` takes a GPU where there is one.
    """

    epochs: int = 50
    batch_size: int = 32
    learning_rate: float = 1e-3
    patience: int = 5
    class_weight: Literal["none", "balanced"] = "none"
    device: Literal["auto", "cpu", "gpu"] = "auto"

    def __post_init__(self) -> None:
        """Checks ranges."""
        _check(self.epochs >= 1, "training.epochs", "at least 1", self.epochs)
        _check(self.batch_size >= 1, "training.batch_size", "at least 1", self.batch_size)
        finite = 0 < self.learning_rate < math.inf
        _check(finite, "training.learning_rate", "a positive number", self.learning_rate)
        _check(self.patience >= 0, "training.patience", "at least 0", self.patience)


# Of ``fine_tuning.epochs: auto``.
_LEAST_EPOCHS, _MOST_EPOCHS, _ENOUGH_STEPS = 3, 10, 150


@dataclass(frozen=True)
class FineTuningConfig:
    """How ELMo's weights learn the task, with ``elmo.trainable: top`` or ``all``.

    The classifier is trained on the frozen ELMo first. Then both go on together: the upper LSTM layer at
    once, each layer below it later.

    Args:
        epochs: Passes over the training rows; all are made. ``auto`` is 3, of few rows more: as
            many as make 150 steps, but no more than 10.
        batch_size: Rows per step.
        learning_rate: Adam's highest step size, that of the upper LSTM layer.
        head_rate: Share of it that the classifier learns with, which has learned before; at most 1.
        layer_decay: By what the step size is divided with each layer further down, at least 1.
        warmup: Share of the steps over which the step size rises, in [0, 1); it falls linearly after that.
        unfreeze: Share of the steps after which the next lower layer begins to learn, in [0, 1); 0 lets all
            layers learn from the beginning.
        dropout: Share of what each LSTM layer reads that is dropped in training, in [0, 1).
        weight_decay: Share of a matrix that is taken off per step, times its step size; the mix has none.
        clip_norm: Bound on the norm of all gradients together.
        keep: When what was learned is kept. ``auto``: unless it is less accurate on the validation rows than
            the frozen ELMo; of few rows, where it is more accurate by more than chance. ``always``.
    """

    epochs: int | Literal["auto"] = "auto"
    batch_size: int = 32
    learning_rate: float = 1e-3
    head_rate: float = 0.3
    layer_decay: float = 2.6
    warmup: float = 0.1
    unfreeze: float = 0.2
    dropout: float = 0.0
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    keep: Literal["auto", "always"] = "auto"

    def __post_init__(self) -> None:
        """Checks ranges."""
        enough = isinstance(self.epochs, str) or self.epochs >= 1
        _check(enough, "fine_tuning.epochs", "auto or at least 1", self.epochs)
        _check(self.batch_size >= 1, "fine_tuning.batch_size", "at least 1", self.batch_size)
        for name, rate in (("learning_rate", self.learning_rate), ("clip_norm", self.clip_norm)):
            _check(0 < rate < math.inf, f"fine_tuning.{name}", "a positive number", rate)
        _check(0 < self.head_rate <= 1, "fine_tuning.head_rate", "above 0 and at most 1", self.head_rate)
        _check(1 <= self.layer_decay < math.inf, "fine_tuning.layer_decay", "at least 1", self.layer_decay)
        for name, share in (("warmup", self.warmup), ("unfreeze", self.unfreeze), ("dropout", self.dropout)):
            _check(0 <= share < 1, f"fine_tuning.{name}", "at least 0 and below 1", share)
        finite = 0 <= self.weight_decay < math.inf
        _check(finite, "fine_tuning.weight_decay", "0 or a positive number", self.weight_decay)

    def num_epochs(self, num_rows: int) -> int:
        """Returns how many passes are made over so many training rows, at least 1."""
        if not isinstance(self.epochs, str):
            return self.epochs
        steps_per_epoch = math.ceil(num_rows / self.batch_size)
        return min(max(math.ceil(_ENOUGH_STEPS / steps_per_epoch), _LEAST_EPOCHS), _MOST_EPOCHS)


@dataclass(frozen=True)
class RunConfig:
    """A whole run: data, text, ELMo, classifier, training, and the seed of every random choice."""

    data: DataConfig = field(default_factory=DataConfig)
    text: TextConfig = field(default_factory=TextConfig)
    elmo: ElmoConfig = field(default_factory=ElmoConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    fine_tuning: FineTuningConfig = field(default_factory=FineTuningConfig)
    seed: int = 13

    def __post_init__(self) -> None:
        """Checks the seed."""
        _check(0 <= self.seed <= MAX_SEED, "seed", f"from 0 to {MAX_SEED}", self.seed)
