"""How long do ten epochs take: with ELMo inside every step, as it was done, and with elmo-train?

    python benchmarks/train.py ../shared/datasets/sst2 --size original

The seed's recipe runs ELMo's frozen network, a TensorFlow 1 graph (contestants/tf1_recipe.py), forward in
each step of each epoch, with batches of 32 rows in the order of the file, padded to the longest of all, and
takes a step of Adam for a dense layer on the mean over layers and tokens. Some of its steps are timed, and
their mean is taken for that of all steps of all epochs; start-up, loading and validation are not counted.
Ours is the whole command, from the shell to the saved run, with an empty cache and then once more with the
cache that it left; as many epochs, none left out by early stopping. ELMo's weights are random.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pandas as pd
import tensorflow as tf
from contestants.random_weights import SHAPES, write_random_elmo
from contestants.texts import spread
from contestants.tf1_recipe import TF1Recipe

from elmo_cli.text.tokens import tokenizer

tf1 = tf.compat.v1
ROWS = 32


def recipe_seconds(weights: Path, table: pd.DataFrame, num_steps: int, *, seed: int) -> list[float]:
    """Returns the seconds of training steps of the seed's recipe, on batches drawn evenly from all."""
    texts = tokenizer("treebank").join_all(list(table["text"]))
    labels, names = pd.factorize(table["label"])
    longest = max(text.count(" ") + 1 for text in texts)
    recipe = TF1Recipe(weights)
    with recipe.graph.as_default():
        targets = tf1.placeholder(tf.int32, [None])
        features = tf.reduce_mean(recipe.pooled, axis=1)
        kernel = tf1.get_variable("kernel", [features.shape[1], len(names)])
        bias = tf1.get_variable("bias", [len(names)])
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, features @ kernel + bias)
        adam = tf1.train.AdamOptimizer()
        train = adam.minimize(tf.reduce_mean(losses), var_list=[kernel, bias])
        recipe.session.run(tf1.variables_initializer([kernel, bias, *adam.variables()]))
    seconds = []
    starts = spread(range(0, len(texts), ROWS), num_steps, seed=seed)
    for at in [starts[0], *starts]:
        batch = {recipe.texts: texts[at : at + ROWS], targets: labels[at : at + ROWS]}
        start = time.perf_counter()
        recipe.session.run(train, batch | {recipe.padded_to: longest})
        seconds.append(time.perf_counter() - start)
    recipe.session.close()
    return seconds[1:]  # The first step is slower than the others.


def command_seconds(
    weights: Path, table: Path, run: Path, cache: Path, arguments: argparse.Namespace
) -> float:
    """Returns the seconds of elmo-train as one command."""
    epochs = ["--epochs", str(arguments.epochs), "--patience", str(arguments.epochs)]
    command = ["elmo-train", str(table), "-o", str(run), "--elmo", str(weights), "--max-length", "longest"]
    start = time.perf_counter()
    subprocess.run(
        [*command, *epochs, *arguments.extra, "--quiet"],
        check=True,
        env=os.environ | {"ELMO_CLI_CACHE": str(cache)},
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, help="with train.csv, columns text and label")
    parser.add_argument("--size", choices=SHAPES, default="original")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--steps", type=int, default=10, help="timed of the seed's recipe")
    parser.add_argument("extra", nargs="*", help="further options of elmo-train, after --")
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.folder / "train.csv", dtype=str, keep_default_na=False)
    table = table.sample(arguments.rows, random_state=0)
    with tempfile.TemporaryDirectory() as place:
        weights = write_random_elmo(SHAPES[arguments.size], Path(place) / "elmo")
        rows, cache = Path(place) / "rows.csv", Path(place) / "cache"
        table.to_csv(rows, index=False)
        cache.mkdir()
        # Two halves around ours, so that a change of the machine's mood meets both.
        steps = recipe_seconds(weights, table, arguments.steps // 2, seed=0)
        runs = [Path(place) / name for name in ("first run", "second run")]
        ours = {
            run.name: (command_seconds(weights, rows, run, cache, arguments), stages(run)) for run in runs
        }
        steps += recipe_seconds(weights, table, arguments.steps - arguments.steps // 2, seed=1)
    num_steps = arguments.epochs * -(-arguments.rows // ROWS)
    recipe = statistics.mean(steps) * num_steps
    print(f"ELMo {arguments.size}, {arguments.rows:,} rows, {arguments.epochs} epochs\n")
    print("| contestant | seconds | the seed's recipe takes times as long | of it |\n|---|---|---|---|")
    part = f"{num_steps} steps of {statistics.mean(steps):.2f} s, measured on {len(steps)}"
    print(f"| the seed's recipe | {recipe:,.0f} | 1 | {part} |")
    for name, (seconds, of_it) in ours.items():
        print(f"| elmo-train, {name} | {seconds:.1f} | {recipe / seconds:.0f} | {of_it} |")


def stages(run: Path) -> str:
    """Names what elmo-train spent its time on."""
    seconds = json.loads((run / "run.json").read_text())["seconds"]
    return ", ".join(f"{name} {value:.1f}" for name, value in seconds.items())


if __name__ == "__main__":
    main()
