"""What does the written-out LSTM gradient bring in pre-training, against automatic differentiation?

    python benchmarks/lstm_gradient.py --size mini --precision bfloat16

One training step of the language model (forward, sampled loss, gradients of all weights; no optimizer) on the
same random batch, the two ways in turn; before it is timed, their gradients are compared.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.negatives import NegativeSampler
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.sizes import SIZES

VOCABULARY = 30_000


def random_batch(sentences: int, tokens: int) -> dict[str, tf.Tensor]:
    """Makes a batch whose words are spelled at random, about 40% of them distinct, as in real text."""
    rng = np.random.default_rng(0)
    distinct = int(0.4 * sentences * tokens)
    negatives, log_expected = NegativeSampler(VOCABULARY, 2048, 0).draw(0)
    batch = {
        "character_ids": rng.integers(0, 256, (distinct, 24)),
        "index": rng.integers(2, distinct, (sentences, tokens + 2)),
        "targets": rng.integers(0, VOCABULARY, (sentences, tokens + 2)),
        "negatives": negatives,
    }
    return {key: tf.constant(value, tf.int32) for key, value in batch.items()} | {
        "log_expected": tf.constant(log_expected)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="bfloat16")
    parser.add_argument("--sentences", type=int, default=116)
    parser.add_argument("--tokens", type=int, default=21)
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(os.cpu_count() or 1)
    policy = "float32" if arguments.precision == "float32" else "mixed_bfloat16"
    model = LanguageModel(BiLM(SIZES[arguments.size], dtype=policy), VOCABULARY, dtype="float32")
    model.build()
    batch = random_batch(arguments.sentences, arguments.tokens)

    def step(training: bool) -> tf.types.experimental.PolymorphicFunction:
        @tf.function
        def run() -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(model(batch, training=training))
            gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
            return [tf.convert_to_tensor(gradient) for gradient in gradients]

        return run

    ways = {"automatic": step(False), "written out": step(True)}
    automatic, written = (way() for way in ways.values())
    worst = max(float(tf.norm(a - b) / (tf.norm(a) + 1e-12)) for a, b in zip(automatic, written, strict=True))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(arguments.rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            way()[0].numpy()
            seconds[name].append(time.perf_counter() - start)
    tokens = arguments.sentences * (arguments.tokens + 1)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"{name}: {tokens / median:,.0f} tokens/s")
    ratio = statistics.median(
        a / b for a, b in zip(seconds["automatic"], seconds["written out"], strict=True)
    )
    print(f"ratio {ratio:.2f}; gradients agree to {worst:.1e} (relative, worst weight)")


if __name__ == "__main__":
    main()
