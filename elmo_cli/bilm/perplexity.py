"""How well a language model predicts held-out text."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from elmo_cli.bilm.batches import Speller, language_model_batch
from elmo_cli.bilm.vocabulary import UNKNOWN_ID, Vocabulary

# Numbers, one per word, token and direction, that are computed at once: a quarter of a GiB.
_MOST_LOGITS = 1 << 26


@dataclass(frozen=True)
class Perplexity:
    """How well a language model predicts held-out text, over its whole vocabulary.

    Args:
        forward: Perplexity per token from left to right, the sentence's end mark included.
        backward: The same from right to left, the begin mark included.
        unknown_share: Share of the tokens that are outside the vocabulary, in [0, 1]; they count as
            the unknown word.
        tokens: Tokens measured per direction, one mark per sentence included.
    """

    forward: float
    backward: float
    unknown_share: float
    tokens: int

    @property
    def nats(self) -> float:
        """Mean negative log likelihood per token of both directions."""
        return (math.log(self.forward) + math.log(self.backward)) / 2

    def __str__(self) -> str:
        return (
            f"held-out perplexity {self.forward:.1f} forward, {self.backward:.1f} backward "
            f"({self.tokens} tokens, {self.unknown_share:.1%} outside the vocabulary)"
        )


def measure_perplexity(
    losses: Callable[[dict[str, Any]], Any],
    sentences: Sequence[Sequence[str]],
    vocabulary: Vocabulary,
    speller: Speller,
    *,
    batch_tokens: int,
    max_tokens: int | None = None,
) -> Perplexity:
    """Measures a language model on sentences.

    Args:
        losses: From a batch of `language_model_batch` to float (2,): the mean losses of the two
            directions in nats per token, over the whole vocabulary.
        sentences: At least one; each at least one token.
        vocabulary: The words the model predicts.
        speller: Spells the tokens.
        batch_tokens: Most tokens per batch; where the vocabulary is large there are fewer in one, to spare
            memory, but no fewer than one sentence.
        max_tokens: About how many tokens to measure, in sentences spread evenly over all; None is all.

    Returns:
        The perplexities, in which each token has the same weight.
    """
    batch_tokens = min(batch_tokens, _MOST_LOGITS // (2 * len(vocabulary)))
    total = sum(len(tokens) + 1 for tokens in sentences)
    stride = 1 if max_tokens is None else max(1, -(-total // max_tokens))
    by_length: dict[int, list[Sequence[str]]] = defaultdict(list)
    for tokens in sentences[::stride]:
        by_length[len(tokens)].append(tokens)
    nats, seen, unknown = np.zeros(2), 0, 0
    for length, group in by_length.items():
        rows = max(1, batch_tokens // (length + 1))
        for at in range(0, len(group), rows):
            batch = language_model_batch(group[at : at + rows], vocabulary, speller)
            size = batch["targets"].shape[0] * (length + 1)
            nats += np.asarray(losses(batch), np.float64) * size
            seen += size
            unknown += int((batch["targets"] == UNKNOWN_ID).sum())
    with np.errstate(over="ignore"):  # of a model that learned far too fast it is infinite
        forward, backward = np.exp(nats / seen)
    return Perplexity(float(forward), float(backward), unknown / seen, seen)
