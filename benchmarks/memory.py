"""How does the peak memory of elmo-train grow with the rows?

    python benchmarks/memory.py --rows 1000 10000 100000

Tables of short texts, all different, with two labels in turn; one epoch with the bundled ELMo, as a whole
command. Beside the peak stands the size of the pooled matrix: the rows of training and validation, by layers,
by width, by 4 bytes (2 where ELMo computes in bfloat16). Memory may grow with that one alone. More options of
elmo-train follow after `--`, as in `-- --set elmo.memory_bytes=0`, which keeps the matrix in a file.
"""

import argparse
import csv
import json
import math
import tempfile
from pathlib import Path

from commands import distinct_texts, elmo, measure


def write_table(path: Path, num_rows: int) -> Path:
    """Writes a table of texts with two labels, in turn."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = ([text, ("even", "odd")[i % 2]] for i, text in enumerate(distinct_texts(num_rows)))
        csv.writer(file).writerows([["text", "label"], *rows])
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("extra", nargs="*", help="further options of elmo-train, after --")
    arguments = parser.parse_args()
    least: tuple[float, float] | None = None
    print("| rows | seconds | peak, MiB | pooled matrix, MiB | growth of the peak / growth of the matrix |")
    print("|---|---|---|---|---|")
    for num_rows in arguments.rows:
        with tempfile.TemporaryDirectory() as place:
            table, run = write_table(Path(place) / "train.csv", num_rows), Path(place) / "run"
            command = [
                elmo("train"),
                str(table),
                "-o",
                str(run),
                "--epochs",
                "1",
                "--quiet",
                *arguments.extra,
            ]
            cost = measure(command, cache=Path(place) / "cache")
            shape = json.loads((run / "model" / "model.json").read_text())["pooled_shape"]
            half = json.loads((run / "run.json").read_text())["precision"] == "bfloat16"
        peak, matrix = cost.peak_bytes / 2**20, (2 if half else 4) * num_rows * math.prod(shape) / 2**20
        least = least or (peak, matrix)
        growth = f"{(peak - least[0]) / (matrix - least[1]):.2f}" if matrix > least[1] else "-"
        print(f"| {num_rows:,} | {cost.seconds:.0f} | {peak:,.0f} | {matrix:,.0f} | {growth} |", flush=True)


if __name__ == "__main__":
    main()
