"""How fast are sentences encoded: by us, as ELMo was used before, and at best on this machine?

    python benchmarks/encode.py ../shared/datasets/{sst2,trec} --torch-python torch-env/bin/python

Contestants, in benchmarks/contestants/: ours in both precisions; the seed's recipe, a TensorFlow 1 graph
with batches of 32 in the order of the file, padded to the longest sentence of all; the same, padded per
batch; the same with batches of 128 sorted by length, as AllenNLP's users did; and, where --torch-python
names a Python that has torch, numpy and h5py, a biLM in PyTorch with sorted batches of 128. The limit is
what the matrix products alone would take, each timed in its own shape, once as published and once without
what ours leaves out (contestants/products.py).

Before anything is timed, all have to give the same vectors. Then they take turns for some rounds; ours encode
all sentences each time, another one as many of its batches, drawn evenly from all and anew in each round, as
fit into --seconds. Tokens are counted without sentence marks and padding.
"""

import argparse
import gc
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from contestants.line_up import Contestant, Vectors, line_up
from contestants.ours import PRECISIONS
from contestants.products import Product, Shape, gigaflops, products_of
from contestants.random_weights import SHAPES, write_random_elmo
from contestants.texts import num_tokens, sample_texts, spread

from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.elmo.source import resolve

Speeds = dict[str, list[float]]
Rates = dict[tuple[str, Shape], list[float]]


def relative_rms(found: Vectors, expected: Vectors) -> float:
    """Root mean square of the difference, in units of that of what is expected."""
    return float(np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected**2)))


def check_agreement(contestants: Sequence[Contestant], texts: list[str]) -> None:
    """Compares what contestants compute, and ends the benchmark when it is not the same."""
    _, expected = contestants[0].encode([texts])
    for contestant in contestants[1:]:
        difference = relative_rms(contestant.encode([texts])[1], expected)
        print(f"- {contestant.name}: relative RMS difference to ours, float32: {difference:.1e}", flush=True)
        if difference > (1e-5 if contestant.precision == "float32" else 0.03):
            raise SystemExit(f"{contestant.name} computes something else; there is nothing to compare.")


def compare_precisions(exact: Vectors, rough: Vectors) -> None:
    """Prints how far our bfloat16 vectors (N, L, 2P) are from our float32 ones."""
    cosines = (exact * rough).sum(axis=2) / np.linalg.norm(exact, axis=2) / np.linalg.norm(rough, axis=2)
    layers = ", ".join(f"{value:.3f}" for value in np.sqrt((exact**2).mean(axis=(0, 2))))
    print(
        f"- bfloat16 against float32, {len(exact):,} sentences, each layer: cosine at least "
        f"{cosines.min():.6f}, mean {cosines.mean():.6f}; relative RMS difference "
        f"{relative_rms(rough, exact):.2%}\n- RMS of the values of each layer: {layers}",
        flush=True,
    )


def num_traces() -> int:
    """Counts the graphs that TensorFlow has traced for all functions that are alive."""
    kind = tf.types.experimental.PolymorphicFunction
    return sum(item.experimental_get_tracing_count() for item in gc.get_objects() if isinstance(item, kind))


def measure(weights: Path, texts: list[str], arguments: argparse.Namespace) -> None:
    """Prints the tables of one ELMo."""
    contestants = line_up(weights, texts, arguments.torch_python)
    options = BiLMOptions.from_json(weights / "options.json")
    limits = {
        name: products_of(options, texts, as_published=name == "as published")
        for name in ("as published", "ours")
    }
    shapes = dict.fromkeys(product.shape for products in limits.values() for product in products)
    check_agreement(contestants, [*texts[:40], "", "naïve 🙂 " + "x" * 60])
    compare_precisions(*(contestant.encode(contestant.batches)[1] for contestant in contestants[:2]))
    parts = {each.name: each.num_batches_in(arguments.seconds) for each in contestants[2:]}
    traces = num_traces()
    speeds: Speeds = {contestant.name: [] for contestant in contestants}
    measured: dict[str, int] = {}
    rates: Rates = {(precision, shape): [] for precision in PRECISIONS for shape in shapes}
    for number in range(arguments.rounds):
        for contestant in contestants:
            some = spread(contestant.batches, parts.get(contestant.name, 1), seed=number)
            seconds, vectors = contestant.encode(some)
            speeds[contestant.name].append(sum(map(num_tokens, some)) / seconds)
            measured[contestant.name] = len(vectors)
            print(
                f"round {number + 1}: {contestant.name}: {speeds[contestant.name][-1]:,.0f}", file=sys.stderr
            )
        for precision, shape in rates:
            rates[precision, shape].append(gigaflops(shape, precision))
    print(f"- graphs traced in the timed rounds: {num_traces() - traces}\n")
    print_speeds(speeds, measured)
    print_limits(limits, num_tokens(texts), rates, speeds)


def print_speeds(speeds: Speeds, measured: dict[str, int]) -> None:
    """Prints tokens per second, and how many times as fast ours are."""
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    our_names = [f"ours, {precision}" for precision in PRECISIONS]
    print("| contestant | sentences per round | tokens/s, median (least to most) |", end="")
    print(*(f" {name}: times as fast |" for name in our_names), sep="")
    print("|---|---|---|" + "---|" * len(our_names))
    for name, values in speeds.items():
        ratios = " | ".join(f"{medians[mine] / medians[name]:.2f}" for mine in our_names)
        speed = f"{medians[name]:,.0f} ({min(values):,.0f} to {max(values):,.0f})"
        print(f"| {name} | {measured[name]:,} | {speed} | {ratios} |")


def print_limits(limits: dict[str, list[Product]], tokens: int, rates: Rates, speeds: Speeds) -> None:
    """Prints work and rate of each product, the limits that follow, and how much of them ours reach."""
    medians = {key: statistics.median(values) for key, values in rates.items()}
    print("\n| product | rows x inner x outer |", end="")
    print(*(f" MFLOP per token, {name} |" for name in limits), end="", sep="")
    print(*(f" GFLOP/s, {precision} |" for precision in PRECISIONS), sep="")
    print("|---|---|" + "---|" * (len(limits) + len(PRECISIONS)))
    work = {(name, each.name): each.gigaflop for name, products in limits.items() for each in products}
    for product in dict.fromkeys(
        (each.name, each.shape) for products in limits.values() for each in products
    ):
        cells = [f"{1000 * work.get((name, product[0]), 0) / tokens:.1f}" for name in limits]
        cells += [f"{medians[precision, product[1]]:.0f}" for precision in PRECISIONS]
        print(f"| {product[0]} | {' x '.join(map(str, product[1]))} | {' | '.join(cells)} |")
    print()
    for precision in PRECISIONS:
        speed = statistics.median(speeds[f"ours, {precision}"])
        for name, products in limits.items():
            seconds = sum(product.gigaflop / medians[precision, product.shape] for product in products)
            share = f"ours reach {speed * seconds / tokens:.0%} of it"
            print(f"- Limit in {precision}, {name}: {tokens / seconds:,.0f} tokens/s; {share}.", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="each with train.csv, column text")
    parser.add_argument("--size", nargs="+", choices=[*SHAPES, "bundled"], default=[*SHAPES, "bundled"])
    parser.add_argument("--sentences", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="per round and contestant other than ours")
    parser.add_argument("--torch-python", help="a Python with torch, numpy and h5py")
    arguments = parser.parse_args()
    texts = sample_texts(arguments.folders, arguments.sentences)
    words = {word for text in texts for word in text.split(" ")}
    print(f"{len(texts):,} sentences, {num_tokens(texts):,} tokens, {len(words):,} distinct words")
    for size in arguments.size:
        print(f"\n## {size}\n", flush=True)
        with tempfile.TemporaryDirectory() as place:
            bundled = size == "bundled"
            weights = resolve(size).path if bundled else write_random_elmo(SHAPES[size], Path(place))
            measure(weights, texts, arguments)


if __name__ == "__main__":
    main()
