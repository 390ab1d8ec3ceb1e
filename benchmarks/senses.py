"""Which layers of an ELMo tell the senses of a word apart?

    python benchmarks/senses.py

On data/senses, where the sense of one ambiguous word decides the label. Layer 0 sees each word by itself, the
layers above it see it in its sentence. All rows are split anew for each draw, within each word and label:
three quarters to learn from, a quarter to be asked about. Of each layer two questions are asked.

The sentence: elmo-train's head with its default settings learns from the pooled vectors of one layer alone,
of all mixed by learned weights, or of all side by side, as is the default; TF-IDF with logistic regression is
there for comparison. "Draws won" counts against layer 0 on the same draw; a tie counts half.

The word: the vector of the ambiguous word alone is given the label of the nearer of its two senses, each the
mean over the sentences to learn from (Peters et al. 2018, section 5.3). In layer 0 that vector is the same in
every sentence, but for capital letters: half right is all that can be had.
"""

import argparse
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from contestants.tasks import Task
from contestants.tfidf import tfidf
from contestants.word_senses import Rows, Senses, nearest_sense, read_senses
from numpy.typing import NDArray
from quality import spread

from elmo_cli.classifier.encoding import Encoder
from elmo_cli.classifier.head_choice import choose_head
from elmo_cli.classifier.linear_head import solve_linear_head
from elmo_cli.classifier.pooled_classifier import PooledClassifier
from elmo_cli.classifier.pooling import MaskedPooling, MaskedTokens
from elmo_cli.config import FIXED_POOLINGS, RunConfig
from elmo_cli.elmo.embedder import Embedder, load_embedder
from elmo_cli.elmo.source import resolve
from elmo_cli.text.splits import stratified_split
from elmo_cli.training.arrays import LabelledArrays
from elmo_cli.training.determinism import make_deterministic
from elmo_cli.training.loop import fit

FOLDER = Path(__file__).resolve().parents[1] / "data" / "senses"
JOINED = "all layers, side by side"


def learned(
    vectors: NDArray[Any], targets: NDArray[np.int32], split: tuple[Rows, Rows], *, seed: int, joined: bool
) -> float:
    """Trains as elmo-train does and returns the test accuracy.

    Args:
        vectors: Pooled vectors of some layers, floats (N, L, P).
        targets: Class ids, int32 (N,).
        split: Rows to learn from, of which some are kept for validation, and rows to be asked about.
        seed: Of weights, validation split and dropout.
        joined: Whether layers stand side by side instead of being mixed.
    """
    config, (train, test) = RunConfig(), split
    make_deterministic(seed)
    kept, held_out = stratified_split(targets[train], config.data.validation_fraction, seed)
    head = choose_head(config.classifier, len(kept))
    model = PooledClassifier(
        int(targets.max()) + 1,
        hidden=head.hidden,
        dropout=head.dropout,
        l2=head.l2,
        joined=joined,
        mix_l2=config.classifier.mix_l2,
    )
    parts = [LabelledArrays(vectors, targets[rows], rows) for rows in (train[kept], train[held_out])]
    model.adapt(vectors, train[kept])
    solve_linear_head(model, parts[:1])
    fit(model, *parts, config.training, seed=seed)
    solve_linear_head(model, parts)  # few rows: those kept for validation are learned from, too
    logits = np.asarray(model(vectors[test].astype(np.float32), training=False))
    return float((logits.argmax(axis=1) == targets[test]).mean())


def vectors_of(senses: Senses, embedder: Embedder, pooling: MaskedPooling | MaskedTokens) -> NDArray[Any]:
    """Embeds the N sentences; returns what is kept of each."""
    encoded = Encoder(embedder, pooling)(senses.sentences)
    return encoded.vectors[encoded.rows]


def draws_won(accuracies: list[float], against: list[float]) -> str:
    """Counts the draws in which accuracies are the higher ones; a tie counts half."""
    won = sum((one > other) + (one == other) / 2 for one, other in zip(accuracies, against, strict=True))
    return f"{won:g} of {len(accuracies)}"


def measure(senses: Senses, handle: str, num_draws: int) -> str:
    """Returns the results of all draws as a Markdown table."""
    embedder = load_embedder(resolve(handle), "auto")
    if not embedder.token_level:
        raise SystemExit(f"{handle} gives one vector per text, none of words")
    pooled = vectors_of(senses, embedder, MaskedPooling(FIXED_POOLINGS))  # (N, L, P)
    tokens = vectors_of(senses, embedder, MaskedTokens())  # (N, L, T, D)
    words = tokens[np.arange(len(tokens)), :, senses.places]  # (N, L, D)
    layers = {f"layer {layer}": slice(layer, layer + 1) for layer in range(embedder.num_layers)}
    parts = layers | {"all layers, mixed": slice(None), JOINED: slice(None)}
    sentence: dict[str, list[float]] = {"TF-IDF": []} | {name: [] for name in parts}
    word: dict[str, list[float]] = {name: [] for name in layers}
    for seed in range(num_draws):
        train, test = split = senses.split(seed)
        sentence["TF-IDF"].append(tfidf(Task(senses.table.iloc[train], senses.table.iloc[test], seed)))
        for name, chosen in parts.items():
            accuracy = learned(pooled[:, chosen], senses.targets, split, seed=seed, joined=name == JOINED)
            sentence[name].append(accuracy)
        for name, chosen in layers.items():
            word[name].append(nearest_sense(words[:, chosen.start], senses, train, test))
    return table(sentence, word)


def table(sentence: dict[str, list[float]], word: dict[str, list[float]]) -> str:
    """Returns test accuracies by what was looked at, one for each draw, as a Markdown table."""
    lines = ["| looked at | the sentence | draws won | the word |", "|---|---|---|---|"]
    for name, accuracies in sentence.items():
        won = "" if name == "layer 0" else draws_won(accuracies, sentence["layer 0"])
        alone = spread(word[name]) if name in word else ""
        lines.append(f"| {name} | {spread(accuracies)} | {won} | {alone} |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--elmo", default="bundled")
    parser.add_argument("--draws", type=int, default=10)
    chosen = parser.parse_args(arguments)
    print(measure(read_senses(FOLDER), chosen.elmo, chosen.draws))


if __name__ == "__main__":
    main()
