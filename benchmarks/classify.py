"""How good and how fast is elmo-train as one command with default settings, in either precision?

    python benchmarks/classify.py ../shared/datasets/{trec,sst2,subj} --seeds 3

Each folder holds train.csv, test.csv and maybe dev.csv with the columns text and label. Timed is the whole
command, from the shell to the saved run: first with an empty cache of embeddings, then, with other seeds,
with what the first one left there. elmo-predict's labels are compared with what elmo-eval counted.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from commands import split_at_dashes


def train(folder: Path, run: Path, seed: int, elmo: str, extra: list[str]) -> float:
    """Runs elmo-train and returns its seconds."""
    command = ["elmo-train", str(folder / "train.csv"), "-o", str(run), "--seed", str(seed), "--elmo", elmo]
    if (folder / "dev.csv").exists():
        command += ["--valid", str(folder / "dev.csv")]
    start = time.perf_counter()
    subprocess.run([*command, *extra, "--quiet"], check=True)
    return time.perf_counter() - start


def evaluate(folder: Path, run: Path) -> float:
    """Returns the test accuracy of elmo-eval, after checking that elmo-predict's labels give the same."""
    test = folder / "test.csv"
    answer = subprocess.run(
        ["elmo-eval", str(run), str(test), "--json"], check=True, capture_output=True, text=True
    )
    accuracy = float(json.loads(answer.stdout)["accuracy"])
    predicted = run / "test_predicted.csv"
    subprocess.run(["elmo-predict", str(run), str(test), "-o", str(predicted), "--quiet"], check=True)
    rows = pd.read_csv(predicted, dtype=str, keep_default_na=False)
    if abs((rows["label"] == rows["predicted"]).mean() - accuracy) > 1e-12:
        raise SystemExit(f"{folder}: elmo-predict and elmo-eval disagree")
    return accuracy


def measure(folder: Path, place: Path, precision: str, arguments: argparse.Namespace) -> str:
    """Trains once per seed and returns a row of the table."""
    extra = ["--precision", precision, *arguments.extra]
    accuracies, seconds = [], []
    for seed in range(arguments.seeds):
        run = place / f"run{seed}"
        seconds.append(train(folder, run, seed, arguments.elmo, extra))
        accuracies.append(100 * evaluate(folder, run))
    again = f"{statistics.median(seconds[1:]):.1f}" if seconds[1:] else "-"
    return (
        f"| {folder.name} | {precision} | {statistics.mean(accuracies):.1f} ({min(accuracies):.1f} to "
        f"{max(accuracies):.1f}) | {seconds[0]:.1f} | {again} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--elmo", default="bundled")
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    own, further = split_at_dashes(sys.argv[1:])
    arguments = parser.parse_args(own)
    arguments.extra = further
    print("| set | precision | test accuracy, mean (least to most) | seconds | seconds, from the cache |")
    print("|---|---|---|---|---|")
    for folder in arguments.folders:
        for precision in arguments.precision:
            with tempfile.TemporaryDirectory() as place:
                os.environ["ELMO_CLI_CACHE"] = str(Path(place) / "cache")
                print(measure(folder, Path(place), precision, arguments), flush=True)


if __name__ == "__main__":
    main()
