"""What does a row cost elmo-predict: in a table of a thousand rows, and of a million?

    python benchmarks/predict.py --rows 1000 10000 100000

A run is trained on the sample data with the bundled ELMo. Tables of short texts, all different, are then
predicted as whole commands, twice each: first with an empty cache, then with the one that this left. A table
of one row shows what start-up costs; it is taken off before the cost per row is computed. With
`-- --no-cache` at the end, both times are without a cache.
"""

import argparse
import csv
import tempfile
from pathlib import Path

from commands import Cost, distinct_texts, elmo, measure, train_on_senses


def write_table(path: Path, num_rows: int) -> Path:
    """Writes a table of texts."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([text] for text in distinct_texts(num_rows))])
    return path


def predict(run: Path, table: Path, cache: Path, extra: list[str]) -> Cost:
    """Runs elmo-predict and checks that no row is missing."""
    output = table.with_suffix(".predicted.csv")
    command = [elmo("predict"), str(run), str(table), "-o", str(output), "--quiet", *extra]
    cost = measure(command, cache=cache)
    with open(table, "rb") as given, open(output, "rb") as answered:
        if sum(1 for _ in given) != sum(1 for _ in answered):
            raise SystemExit(f"{output} has not as many rows as {table}")
    output.unlink()
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--run", type=Path, help="a run of your own, instead of one on the sample data")
    parser.add_argument("extra", nargs="*", help="further options of elmo-predict, after --")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, run = Path(place), arguments.run
        if run is None:
            run = folder / "run"
            train_on_senses(run, cache=folder / "cache")
        one = predict(run, write_table(folder / "1.csv", 1), folder / "cache", arguments.extra)
        print("| rows | cache | seconds | ms per row above start-up | processor, ms per row | peak, MiB |")
        print("|---|---|---|---|---|---|")
        for num_rows in arguments.rows:
            table, cache = write_table(folder / f"{num_rows}.csv", num_rows), folder / f"cache of {num_rows}"
            for state in ("empty", "warm"):
                cost = predict(run, table, cache, arguments.extra)
                per_row = (
                    1000 * (of_all - of_one) / num_rows
                    for of_all, of_one in (
                        (cost.seconds, one.seconds),
                        (cost.processor_s, one.processor_s),
                    )
                )
                print(
                    f"| {num_rows:,} | {state} | {cost.seconds:.1f} | "
                    f"{' | '.join(f'{each:.3f}' for each in per_row)} | {cost.peak_bytes / 2**20:,.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
