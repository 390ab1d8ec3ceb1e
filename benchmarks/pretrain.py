"""How fast does a biLM learn: against a graph of TensorFlow 1, and one recipe against another?

    python benchmarks/pretrain.py throughput ../shared/corpus/train-00.txt.gz
    python benchmarks/pretrain.py recipes ../shared/corpus/train-0*.txt.gz \\
        --held-out ../shared/corpus/heldout-00.txt.gz

`throughput` times training steps of the same network on the same batches of whole sentences, in turn: ours in
both precisions (contestants/our_pretraining.py), from tokens to updated weights, and a graph as bilm-tf
built it (contestants/tf1_pretraining.py). Ours takes the step of Muon, as `elmo-pretrain` does, or that of
Adam, which costs about as much as the graph's Adagrad. Before anything is timed, all have to give the same
loss over all words.

`recipes` gives each recipe the same time for a training from scratch, as `elmo-pretrain` does it, and prints
how many tokens it saw and the perplexity on the held-out text: what learns most per second.
"""

import argparse
import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

# What differs from the defaults of `elmo-pretrain`.
RECIPES: dict[str, dict[str, Any]] = {
    "the defaults": {},
    "Adam with a step size of 0.004, not Muon with 0.005": {"optimizer": "adam", "learning_rate": 0.004},
    "512 sampled words, not 2,048": {"num_negatives": 512},
    "8,192 sampled words": {"num_negatives": 8192},
    "dropout of 0.1": {"dropout": 0.1},
    "batches of 5,120 tokens, not 2,560": {"batch_tokens": 5120},
    "pieces of at most 20 tokens, not 64": {"max_sentence_tokens": 20},
}


def throughput(arguments: argparse.Namespace) -> None:
    """Times steps, and prints a table."""
    from contestants.our_pretraining import OurPretraining
    from contestants.random_weights import write_random_elmo
    from contestants.tf1_pretraining import TF1Pretraining

    from elmo_cli.bilm.corpus import count_words
    from elmo_cli.bilm.sizes import SIZES
    from elmo_cli.bilm.vocabulary import Vocabulary
    from elmo_cli.training.device import use_device

    use_device("cpu")  # the threads of our commands, with which the graph is faster, too
    batches = batches_of_one_length(arguments)
    vocabulary = Vocabulary.build(count_words(arguments.corpus)[0], 30_000)
    texts = [[" ".join(tokens) for tokens in batch] for batch in batches]
    targets = [np.asarray([vocabulary.ids(tokens) for tokens in batch], np.int32) for batch in batches]
    width = SIZES[arguments.size].lstm.projection_dim
    kernel = np.random.default_rng(0).normal(scale=width**-0.5, size=(len(vocabulary), width))
    kernel = kernel.astype(np.float32)

    with tempfile.TemporaryDirectory() as folder:
        weights = write_random_elmo(SIZES[arguments.size], Path(folder) / "elmo")
        graph = TF1Pretraining(weights, kernel, np.zeros(len(kernel), np.float32), arguments.negatives)
        ours = {
            f"ours, {precision}, {optimizer.capitalize()}": OurPretraining(
                weights, kernel, vocabulary, arguments.negatives, precision, optimizer
            )
            for precision in ("float32", "bfloat16")
            for optimizer in ("muon", "adam")
        }
    expected = graph.loss(texts[0], targets[0])
    for name, contestant in ours.items():
        difference = float(np.abs(contestant.loss(batches[0]) - expected).max())
        print(f"- {name}: the loss over all words is the graph's, {expected}, but for {difference:.1e}")
        if difference > (1e-3 if "float32" in name else 0.05):
            raise SystemExit("That is another network; there is nothing to compare.")

    steps: dict[str, Callable[[int], None]] = {
        "graph of TensorFlow 1, float32, Adagrad": lambda i: graph.step(texts[i], targets[i])
    }
    for name, contestant in ours.items():
        steps[name] = lambda i, contestant=contestant: contestant.step(batches[i])  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(-1, arguments.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            for i in range(len(batches)):
                step(i)
            if number >= 0:  # what is compiled is compiled in the round before
                seconds[name].append(time.perf_counter() - start)
    tokens = sum(len(batch) * (len(batch[0]) + 1) for batch in batches)
    of_graph = next(iter(seconds.values()))
    print("\n| | tokens/s | against the graph |\n|---|---|---|")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(of_graph, values, strict=True))
        print(f"| {name} | {tokens / statistics.median(values):,.0f} | {ratio:.2f} |")


def batches_of_one_length(arguments: argparse.Namespace) -> list[list[list[str]]]:
    """Cuts text into rows of one length, as a language model of 2018 read it."""
    from elmo_cli.bilm.corpus import read_sentences

    length = arguments.steps - 1  # one position is the sentence mark
    sentences = itertools.chain.from_iterable(map(read_sentences, arguments.corpus))
    tokens = itertools.chain.from_iterable(sentences)
    needed = arguments.batches * arguments.batch_size * length
    found = list(itertools.islice(tokens, needed))
    if len(found) < needed:
        raise SystemExit(f"{needed} tokens are needed, the corpus has {len(found)}.")
    rows = [found[at : at + length] for at in range(0, needed, length)]
    return [rows[at :: arguments.batches] for at in range(arguments.batches)]


def recipes(arguments: argparse.Namespace) -> None:
    """Trains by each recipe, and prints a table."""
    print("| recipe | M tokens | perplexity forward | backward |\n|---|---|---|---|", flush=True)
    for name, settings in RECIPES.items():
        # A process of its own for each: TensorFlow keeps what it compiled.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, context) as executor:
            result = executor.submit(
                pretrain, arguments.corpus, arguments.held_out, arguments.minutes, arguments.size, settings
            )
            tokens, forward, backward = result.result()
        print(f"| {name} | {tokens / 1e6:.2f} | {forward:.1f} | {backward:.1f} |", flush=True)


def pretrain(
    corpus: list[Path], held_out: Path, minutes: float, size: str, settings: dict[str, Any]
) -> tuple[int, float, float]:
    """Trains for some minutes; returns the tokens seen and the perplexities of both directions."""
    from elmo_cli.workflows.pretrain import PretrainConfig, pretrain

    with tempfile.TemporaryDirectory() as folder:
        config = PretrainConfig(
            tuple(corpus), Path(folder) / "elmo", held_out=held_out, minutes=minutes, size=size, **settings
        )
        result = pretrain(config)
    return result.progress.tokens, result.perplexity.forward, result.perplexity.backward


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("throughput")
    one.add_argument("--batch-size", type=int, default=128)
    one.add_argument("--steps", type=int, default=20, help="positions per row that are predicted")
    one.add_argument("--negatives", type=int, default=1024)
    one.add_argument("--batches", type=int, default=4)
    one.add_argument("--rounds", type=int, default=5)
    one.set_defaults(run=throughput)
    other = commands.add_parser("recipes")
    other.add_argument("--held-out", type=Path, required=True)
    other.add_argument("--minutes", type=float, default=4.0)
    other.set_defaults(run=recipes)
    for command in (one, other):
        command.add_argument("corpus", type=Path, nargs="+")
        command.add_argument("--size", default="mini")
    arguments = parser.parse_args(argv)
    arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
