"""How good and how fast is elmo-train as one command with default settings?

    python benchmarks/classify.py ../shared/datasets/{trec,sst2,subj} --seeds 3

Each folder holds train.csv, test.csv and maybe dev.csv with the columns text and label. Timed is the whole
command, from the shell to the saved run; elmo-predict's labels are then compared with what elmo-eval counted.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import pandas as pd


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--elmo", default="bundled")
    parser.add_argument("extra", nargs="*", help="further options of elmo-train, after --")
    arguments = parser.parse_args()
    print("| set | test accuracy, mean (least to most) | seconds, median (least to most) |\n|---|---|---|")
    for folder in arguments.folders:
        accuracies, seconds = [], []
        for seed in range(arguments.seeds):
            with tempfile.TemporaryDirectory() as place:
                run = Path(place) / "run"
                seconds.append(train(folder, run, seed, arguments.elmo, arguments.extra))
                accuracies.append(evaluate(folder, run))
        print(
            f"| {folder.name} | {100 * statistics.mean(accuracies):.1f} ({100 * min(accuracies):.1f} to "
            f"{100 * max(accuracies):.1f}) | {statistics.median(seconds):.1f} ({min(seconds):.1f} to "
            f"{max(seconds):.1f}) |",
            flush=True,
        )


if __name__ == "__main__":
    main()
