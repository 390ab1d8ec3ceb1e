"""What `elmo-pretrain` is told."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class PretrainConfig:
    """What `elmo-pretrain` is told.

    Args:
        corpus: Text files, plain or .gz, one tokenised sentence a line.
        output: Directory to make.
        held_out: A text file to measure perplexity on; without one every hundredth sentence of the
            first file is measured, which training sees too.
        size: Name of a shape in `bilm.sizes.SIZES`, or path of an options.json.
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
        seed: Seed of every random choice.
        licence: What the model card says about the licences of the texts, or None.
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
    licence: str | None = None
