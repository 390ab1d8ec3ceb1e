"""What does the written-out gradient of a large product bring, against automatic differentiation?

    python benchmarks/products.py --words 128 338 1024 --filters 512 2048

A highway of a character CNN multiplies the vectors of a batch's distinct words (M, N) with a kernel (N, N).
The product, and its gradients by both, are taken the two ways in turn, in float32.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from elmo_cli.bilm.products import times


def gradients(multiply: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Returns a function from rows, kernel and what comes from above to the product and both gradients."""

    @tf.function(autograph=False)
    def run(rows: tf.Tensor, kernel: tf.Tensor, upstream: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch([rows, kernel])
            product = multiply(rows, kernel)
        return [product, *tape.gradient(product, [rows, kernel], upstream)]

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--words", type=int, nargs="+", default=[128, 338, 1024])
    parser.add_argument("--filters", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    ways = {"automatic": gradients(tf.matmul), "written out": gradients(times)}
    random = np.random.default_rng(0)
    print("| filters | words | automatic, GFLOP/s | written out | ratio |\n|---|---|---|---|---|")
    for filters in arguments.filters:
        for words in arguments.words:
            shapes = [(words, filters), (filters, filters), (words, filters)]
            given = [tf.constant(random.normal(size=shape).astype(np.float32)) for shape in shapes]
            for found, wanted in zip(*(way(*given) for way in ways.values()), strict=True):
                np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3 * filters**0.5)
            seconds: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(arguments.rounds):
                for name, way in ways.items():
                    start = time.perf_counter()
                    np.asarray(way(*given)[-1][0, 0])
                    seconds[name].append(time.perf_counter() - start)
            automatic, written = map(statistics.median, seconds.values())
            rate = 3 * 2 * words * filters**2 / 1e9
            print(
                f"| {filters:,} | {words:,} | {rate / automatic:.0f} | {rate / written:.0f} "
                f"| {automatic / written:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
