"""What a pre-training measured on its way, and what came out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from elmo_cli.bilm.perplexity import Perplexity
from elmo_cli.training.stream import Progress


@dataclass(frozen=True)
class LogEntry:
    """What was measured at one point of a training.

    Args:
        point: What the model card calls it.
        seconds: Training time so far.
        tokens: Tokens seen so far.
        perplexity: On the held-out text, or a part of it.
    """

    point: str
    seconds: float
    tokens: int
    perplexity: Perplexity

    @classmethod
    def read(cls, entry: dict[str, Any]) -> Self:
        """Reads what `dataclasses.asdict` made of it."""
        return cls(**{**entry, "perplexity": Perplexity(**entry["perplexity"])})


@dataclass(frozen=True)
class PretrainResult:
    """What came out of a pre-training.

    Args:
        perplexity: Of what was written, on the held-out text. With `init` the best weights were chosen on
            that text, which flatters them a little.
        before: Of the ELMo that was given with `init`, on the same text and words; None without one. Its
            softmax had at most a quarter of the budget, so that a part of the gain may be the softmax's.
        progress: How far it came.
    """

    perplexity: Perplexity
    before: Perplexity | None
    progress: Progress


def log_table(log: Sequence[LogEntry], most_rows: int = 24) -> list[str]:
    """Returns a Markdown table of the log, of at most so many rows spread over it, the last one included."""
    stride = -(-len(log) // most_rows) if log else 1
    shown = log[::-1][::stride][::-1]
    return [
        "| | minutes | M tokens | perplexity forward | backward | tokens measured |",
        "|---|---|---|---|---|---|",
        *(
            f"| {entry.point} | {entry.seconds / 60:.1f} | {entry.tokens / 1e6:.2f} | {measured.forward:.1f} "
            f"| {measured.backward:.1f} | {measured.tokens} |"
            for entry in shown
            for measured in [entry.perplexity]
        ),
    ]
