"""What `elmo-pretrain` is told."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from elmo_cli.config import DataConfig

LEARNING_RATE, GENTLE_LEARNING_RATE = 5e-3, 1e-3


@dataclass(frozen=True)
class PretrainConfig:
    """What `elmo-pretrain` is told.

    Args:
        corpus: Text files, plain or .gz, one tokenised sentence a line; tables (see `data`); patterns;
            ``-`` for standard input.
        output: Directory to make.
        held_out: A text or table to measure perplexity on; without one a small share of the corpus is
            held out, which training does not see.
        data: How tables are read: their text column and the like.
        tokenizer: How texts are split into tokens. When absent, plain text is split at white space, and
            texts of tables are split in the manner of the Penn Treebank, as `elmo-train` does.
        init: Handle of a native ELMo to go on with, or None to begin with random weights.
        size: Name of a shape in `bilm.sizes.SIZES`, or path of an options.json. When absent, that of the
            ELMo to go on with, or ``mini``.
        minutes: Most training time, or None; with neither this nor `max_tokens` a training that is gone on
            with keeps its budget. Reading the text, and the look at it for a first softmax, come
            on top.
        max_tokens: Most tokens to train on, or None.
        vocabulary: A list of the words that are predicted, one a line; else the most frequent ones are.
        vocabulary_size: Number of words that are predicted, where no list is given.
        cased: Whether "The" and "the" are two words to predict. When absent, a list with a capital letter
            is cased, and words that are counted are lower-cased, unless the ELMo to go on with predicts
            cased ones: fewer tokens are outside of them. What is read keeps its case in any event.
        batch_tokens: Tokens per batch; twice as many after a twentieth of the budget.
        max_sentence_tokens: Longer sentences are cut into pieces.
        lower_share: Share of the sentences that are lower-cased, since many users' texts are.
        dropout: Share of what each layer reads that is dropped in training. Where text is plenty for the
            network, as it mostly is, it slows learning down.
        num_negatives: Distinct words per batch against which the true ones are scored.
        optimizer: ``muon``, which learns more per token, or ``adam``.
        learning_rate: The optimizer's highest step size; when absent, see `highest_rate`. A first softmax is
            learned with five times as much, but no more than 0.005.
        precision: ``bfloat16`` for the matrix products where the processor does them fast.
        checkpoint_minutes: Minutes between two checkpoints.
        held_out_tokens: Tokens of the held-out text measured at each checkpoint; all at the end.
        seed: Seed of every random choice.
        licence: What the model card says about the licences of the texts, or None.
    """

    corpus: tuple[Path, ...]
    output: Path
    held_out: Path | None = None
    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: Literal["treebank", "whitespace"] | None = None
    init: str | None = None
    size: str | None = None
    minutes: float | None = 60.0
    max_tokens: int | None = None
    vocabulary: Path | None = None
    vocabulary_size: int = 30_000
    cased: bool | None = None
    batch_tokens: int = 2560
    max_sentence_tokens: int = 64
    lower_share: float = 0.2
    dropout: float = 0.0
    num_negatives: int = 2048
    optimizer: Literal["muon", "adam"] = "muon"
    learning_rate: float | None = None
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint_minutes: float = 10.0
    held_out_tokens: int = 20_000
    seed: int = 13
    licence: str | None = None

    @property
    def highest_rate(self) -> float:
        """The optimizer's highest step size: by default gentle where weights are gone on with."""
        if self.learning_rate is not None:
            return self.learning_rate
        return LEARNING_RATE if self.init is None else GENTLE_LEARNING_RATE
