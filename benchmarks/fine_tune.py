"""How fast does ELMo learn a task, against a graph of TensorFlow 1, and how right is it afterwards?

    python benchmarks/fine_tune.py throughput ../shared/datasets/sst2
    python benchmarks/fine_tune.py accuracy ../shared/datasets/{trec,subj,sst2} --seeds 3

`throughput` times steps on the same batches in turn, all layers learning: ours, from texts to updated
weights (contestants/our_fine_tuning.py), and a graph of TensorFlow 1 (contestants/tf1_fine_tuning.py). Before
anything is timed, all have to give the same loss. Weights are random: speed asks for the shape only.

`accuracy` runs the whole command with defaults for each seed, once with `--trainable mix`, once with `all`.
Each folder holds train.csv, test.csv and maybe dev.csv with the columns text and label. Further options of
elmo-train follow after `--`.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd
from commands import elmo, measure, split_at_dashes


def throughput(arguments: argparse.Namespace) -> None:
    """Prints tokens per second of each contestant."""
    from contestants.our_fine_tuning import OurFineTuning
    from contestants.random_weights import SHAPES, write_random_elmo
    from contestants.tf1_fine_tuning import TF1FineTuning

    from elmo_cli.training.device import use_device
    from elmo_cli.training.order import batches_of_like_length

    use_device("cpu")  # the threads of our commands, with which the graph is faster, too
    table = pd.read_csv(arguments.folder / "train.csv", dtype=str, keep_default_na=False)
    table = table.iloc[: arguments.batches * arguments.batch_size]
    texts = list(table["text"])
    names = sorted(set(table["label"]))
    targets = np.array([names.index(label) for label in table["label"]], np.int32)
    lengths = np.array([text.count(" ") + 1 for text in texts], np.int32)
    batches = batches_of_like_length(lengths, arguments.batch_size, seed=0, epoch=0)
    options = SHAPES[arguments.size]
    shape = (options.num_layers * options.dim, len(names))
    kernel = np.random.default_rng(0).normal(scale=0.05, size=shape).astype(np.float32)
    rate = 1e-4
    with tempfile.TemporaryDirectory() as folder:
        weights = write_random_elmo(options, Path(folder) / "elmo")
        graph = TF1FineTuning(weights, kernel, rate)
        ours = {
            precision: OurFineTuning(
                weights, kernel, rate, texts, targets, precision=precision, batch_size=arguments.batch_size
            )
            for precision in arguments.precision
        }
    some = [texts[row] for row in batches[0]]
    expected = graph.loss(some, targets[batches[0]])
    for precision, contestant in ours.items():
        found, tolerance = contestant.loss(batches[0]), 1e-4 if precision == "float32" else 2e-2
        if abs(found - expected) > tolerance * expected:
            raise SystemExit(f"ours, {precision}: loss {found}, the graph's is {expected}.")

    steps: dict[str, Callable[[np.ndarray], None]] = {
        "graph of TensorFlow 1, float32": lambda rows: graph.step([texts[row] for row in rows], targets[rows])
    } | {f"ours, {precision}": contestant.step for precision, contestant in ours.items()}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    processor: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(-1, arguments.rounds):
        for name, step in steps.items():
            start, start_processor = time.perf_counter(), time.process_time()
            for rows in batches:
                step(rows)
            if number >= 0:  # what is compiled is compiled in the round before
                seconds[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - start_processor)
    print("| | tokens/s | against the graph | tokens per second of one core | against the graph |")
    print("|---|---|---|---|---|")
    for name in steps:
        columns = []
        for measured in (seconds, processor):
            of_graph = next(iter(measured.values()))
            ratio = statistics.median(a / b for a, b in zip(of_graph, measured[name], strict=True))
            columns += [f"{lengths.sum() / statistics.median(measured[name]):,.0f}", f"{ratio:.2f}"]
        print(f"| {name} | {' | '.join(columns)} |")


def accuracy(arguments: argparse.Namespace) -> None:
    """Prints test accuracy, time and peak memory of whole commands."""
    print(
        "| set | --trainable | test accuracy, mean (each) | seconds, median | of it fine-tuning | peak, MiB |"
    )
    print("|---|---|---|---|---|---|")
    for folder in arguments.folders:
        for trainable in arguments.trainable:
            accuracies, seconds, tuning, peaks = [], [], [], []
            for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
                with tempfile.TemporaryDirectory() as place:
                    run = Path(place) / "run"
                    command = [elmo("train"), str(folder / "train.csv"), "--test", str(folder / "test.csv")]
                    if (folder / "dev.csv").exists():
                        command += ["--valid", str(folder / "dev.csv")]
                    command += ["-o", str(run), "--seed", str(seed), "--trainable", trainable, "--quiet"]
                    cost = measure([*command, *arguments.extra], cache=Path(place) / "cache")
                    reports = json.loads((run / "metrics.json").read_text())
                    record = json.loads((run / "run.json").read_text())
                accuracies.append(100 * reports["test"]["accuracy"])
                seconds.append(cost.seconds)
                tuning.append(record["seconds"].get("fine-tuning", 0.0))
                peaks.append(cost.peak_bytes / 2**20)
            each = " ".join(f"{one:.1f}" for one in accuracies)
            print(
                f"| {folder.name} | {trainable} | {statistics.mean(accuracies):.1f} ({each}) "
                f"| {statistics.median(seconds):.0f} | {statistics.median(tuning):.0f} | {max(peaks):,.0f} |",
                flush=True,
            )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("throughput")
    one.add_argument("folder", type=Path)
    one.add_argument("--size", default="small")
    one.add_argument("--batch-size", type=int, default=32)
    one.add_argument("--batches", type=int, default=8)
    one.add_argument("--rounds", type=int, default=5)
    one.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    one.set_defaults(run=throughput)
    other = commands.add_parser("accuracy")
    other.add_argument("folders", nargs="+", type=Path)
    other.add_argument("--seeds", type=int, default=3)
    other.add_argument("--first-seed", type=int, default=0)
    other.add_argument("--trainable", nargs="+", default=["mix", "all"])
    other.set_defaults(run=accuracy)
    own, further = split_at_dashes(sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_args(own)
    arguments.extra = further
    arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
