"""How fast does the cache of embeddings write and read rows, and what does a second process at once cost?

    python benchmarks/cache.py --rows 10000 100000

Rows of 4,608 bytes (the bundled model, pooled in half precision) and of 12,288 bytes (the original ELMo).
Beside it stands one plain file with the same bytes, written and read row by row: what disk and Python cost
anyway. Everything read is compared with what was written. The files are in a new directory; reading finds
them in the memory of the operating system, if there is enough.
"""

import argparse
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from elmo_cli.elmo.cache import EmbeddingCache
from elmo_cli.elmo.cache_key import KeySpace

NUM_BYTES = (4608, 12288)
BATCH = 400  # rows that an encoder hands over at once


class Rows:
    """Random values, overlapping pieces of one block of memory, and their keys."""

    def __init__(self, num_rows: int, num_bytes: int, number: int) -> None:
        make = KeySpace(fingerprint="benchmark", stored=f"{num_bytes} bytes", dtype="uint8")
        self.keys = [make(f"{number} {row}") for row in range(num_rows)]
        self._block = memoryview(os.urandom(num_bytes + num_rows))
        self._num_bytes = num_bytes

    def __getitem__(self, row: int) -> memoryview:
        return self._block[row : row + self._num_bytes]

    def compare(self, row: int, value: bytes) -> None:
        if value != self[row]:
            raise SystemExit(f"row {row} is not what was written")


def write_cache(directory: Path, rows: Rows) -> None:
    with EmbeddingCache(directory, max_bytes=10**11) as cache:
        for start in range(0, len(rows.keys), BATCH):
            batch = range(start, min(start + BATCH, len(rows.keys)))
            cache.write((rows.keys[row], rows[row]) for row in batch)


def read_cache(directory: Path, rows: Rows) -> None:
    num_read = 0
    with EmbeddingCache(directory, max_bytes=10**11) as cache:
        for row, value in cache.read(rows.keys):
            rows.compare(row, value)
            num_read += 1
    if num_read != len(rows.keys):
        raise SystemExit(f"{num_read} of {len(rows.keys)} rows were found")


def write_plain(directory: Path, rows: Rows) -> None:
    with open(directory / "plain", "wb") as file:
        for row in range(len(rows.keys)):
            file.write(rows[row])
        file.flush()
        os.fsync(file.fileno())


def read_plain(directory: Path, rows: Rows) -> None:
    with open(directory / "plain", "rb") as file:
        for row in range(len(rows.keys)):
            rows.compare(row, file.read(len(rows[row])))


def timed(way: Callable[[Path, Rows], None], directory: Path, rows: Rows) -> float:
    """Returns microseconds per row."""
    start = time.perf_counter()
    way(directory, rows)
    return (time.perf_counter() - start) / len(rows.keys) * 1e6


def in_a_process(
    directory: Path,
    num_rows: int,
    num_bytes: int,
    number: int,
    start: "multiprocessing.Barrier",
    out: "multiprocessing.Queue",
) -> None:
    """Writes rows of its own and reads them back, beginning when all others are ready, too."""
    rows = Rows(num_rows, num_bytes, number)
    microseconds = []
    for way in (write_cache, read_cache):
        start.wait()
        microseconds.append(timed(way, directory, rows))
    out.put(microseconds)


def processes(directory: Path, count: int, num_rows: int, num_bytes: int) -> list[float]:
    """Returns microseconds per row for writing and reading, of the slowest process of so many at once."""
    context = multiprocessing.get_context("spawn")
    barrier, out = context.Barrier(count), context.Queue()
    arguments = [(directory, num_rows, num_bytes, number, barrier, out) for number in range(count)]
    running = [context.Process(target=in_a_process, args=each) for each in arguments]
    for process in running:
        process.start()
    each = [out.get() for _ in running]
    for process in running:
        process.join()
    return [max(column) for column in zip(*each, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", help="on the disk to be measured; by default that of temporary files")
    arguments = parser.parse_args()
    ways = {"write": (write_cache, write_plain), "read": (read_cache, read_plain)}
    print("| bytes | rows | | cache, µs per row | plain file | ratio | two processes at once, each |")
    print("|---|---|---|---|---|---|---|")
    for num_bytes in NUM_BYTES:
        for num_rows in arguments.rows:
            one: dict[str, list[list[float]]] = {name: [] for name in ways}
            two: list[list[float]] = []
            for number in range(arguments.rounds):
                rows = Rows(num_rows, num_bytes, number)
                with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
                    for name, contestants in ways.items():
                        one[name].append([timed(way, Path(directory), rows) for way in contestants])
                with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
                    two.append(processes(Path(directory), 2, num_rows, num_bytes))
            for place, name in enumerate(ways):
                cache, plain = (statistics.median(column) for column in zip(*one[name], strict=True))
                ratio = statistics.median(cache / plain for cache, plain in one[name])
                both = statistics.median(round_[place] for round_ in two)
                what = f"{num_bytes:,} | {num_rows:,} | {name}"
                print(f"| {what} | {cache:.0f} | {plain:.0f} | {ratio:.1f} | {both:.0f} |", flush=True)


if __name__ == "__main__":
    main()
