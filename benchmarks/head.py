"""What does a training step of the head cost, and how much memory does training take against rows?

    python benchmarks/head.py
    python benchmarks/head.py --rounds 5 --memory-rows 5000 20000 80000

The head is that of elmo-train with its default settings, on generated vectors of the bundled model's shape
(3 layers, 768 numbers). The old way had all rows in one tensor beside the array, and Adam as Keras writes it.
Memory is the most that a process of its own holds while training, above what it held before it made or opened
the rows; pages of a mapped file are the system's to take back and not counted. Linux alone tells them apart.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHAPE, NUM_CLASSES, HIDDEN, BATCH_SIZE = (3, 768), 6, (256,), 32
Epoch = Callable[[NDArray[np.int64]], None]


@dataclass(frozen=True)
class Way:
    """One way to train: where the vectors are, in which type, who gathers them, which Adam."""

    name: str
    in_one_tensor: bool = False
    fused_adam: bool = True
    in_file: bool = False
    dtype: str = "float32"


OLD = Way("one tensor, Keras's Adam", in_one_tensor=True, fused_adam=False)
NEW = Way("blocks, fused Adam")
HALF = Way("blocks, fused Adam, float16", dtype="float16")
MAPPED = Way("blocks, fused Adam, float16 file", in_file=True, dtype="float16")
STEP_WAYS = (OLD, Way("one tensor, fused Adam", in_one_tensor=True), NEW, HALF, MAPPED)
MEMORY_WAYS = (OLD, NEW, HALF, MAPPED)


def vectors(num_rows: int, way: Way, place: Path) -> NDArray[np.floating]:
    """Generates vectors, in memory or in a file that is written piece by piece."""
    shape = (num_rows, *SHAPE)
    mode = {"dtype": way.dtype, "shape": shape}
    array = np.memmap(place / way.dtype, mode="w+", **mode) if way.in_file else np.empty(**mode)
    random = np.random.default_rng(0)
    for start in range(0, num_rows, 1024):
        piece = array[start : start + 1024]
        piece[:] = random.standard_normal(piece.shape, np.float32)
    return np.memmap(place / way.dtype, mode="r", **mode) if way.in_file else array


def prepare(way: Way, inputs: NDArray[np.floating]) -> Epoch:
    """Builds model and graph; what comes back takes the steps of one epoch, rows in the order given."""
    import keras
    import tensorflow as tf

    from elmo_cli.classifier.pooled_classifier import PooledClassifier
    from elmo_cli.training.adam import FusedAdam
    from elmo_cli.training.arrays import LabelledArrays
    from elmo_cli.training.determinism import make_deterministic
    from elmo_cli.training.loop import BLOCK_ROWS
    from elmo_cli.training.steps import Steps, feed

    make_deterministic(1)
    model = PooledClassifier(NUM_CLASSES, hidden=HIDDEN)
    model.adapt(inputs)
    optimizer = FusedAdam() if way.fused_adam else keras.optimizers.Adam()
    steps = Steps(model, optimizer, batch_size=BATCH_SIZE, input_shape=SHAPE, input_dtype=inputs.dtype.name)
    targets = np.random.default_rng(0).integers(0, NUM_CLASSES, len(inputs), np.int32)

    if way.in_one_tensor:
        rows = tf.constant(inputs), tf.constant(targets), tf.ones(len(inputs))

        def epoch(order: NDArray[np.int64]) -> None:
            for start in range(0, len(order), 64 * BATCH_SIZE):
                steps.train(*rows, order[start : start + 64 * BATCH_SIZE].astype(np.int32))[0].numpy()
    else:
        arrays = LabelledArrays(inputs, targets)

        class_weights = np.ones(NUM_CLASSES, np.float32)

        def epoch(order: NDArray[np.int64]) -> None:
            for block in feed(arrays, order, block_rows=BLOCK_ROWS, class_weights=class_weights):
                steps.train(*block)[0].numpy()

    return epoch


def time_steps(num_rows: int, num_rounds: int) -> None:
    """Prints what a step takes, the ways alternating."""
    with tempfile.TemporaryDirectory() as place:
        epochs = {way: prepare(way, vectors(num_rows, way, Path(place))) for way in STEP_WAYS}
        order = np.random.default_rng(0).permutation(num_rows)
        num_steps = -(-num_rows // BATCH_SIZE)
        walls: dict[Way, list[float]] = {way: [] for way in STEP_WAYS}
        processors: dict[Way, list[float]] = {way: [] for way in STEP_WAYS}
        for round_ in range(num_rounds + 1):
            for way, epoch in epochs.items():
                wall, processor = time.perf_counter(), time.process_time()
                epoch(order)
                if round_:  # the first one traces
                    walls[way].append((time.perf_counter() - wall) / num_steps * 1e3)
                    processors[way].append((time.process_time() - processor) / num_steps * 1e3)
    print("| way | ms per step | ratio | processor ms per step | ratio |\n|---|---|---|---|---|")
    for way in STEP_WAYS:
        cells = []
        for times in (walls, processors):
            ratios = [old / new for old, new in zip(times[OLD], times[way], strict=True)]
            cells += [f"{statistics.median(times[way]):.2f}", f"{statistics.median(ratios):.2f}"]
        print(f"| {way.name} | {' | '.join(cells)} |")


def held_mb() -> float:
    """Returns the memory that this process holds for itself, pages of files left out, in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith("RssAnon"))


def memory(num_rows: int, way: Way) -> float:
    """Returns the most memory one epoch takes, in MB; for a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        prepare(way, vectors(BATCH_SIZE, way, Path(place)))(np.arange(BATCH_SIZE))  # libraries and graph
        before = most = held_mb()
        done = threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.01):
                most = max(most, held_mb())

        watcher = threading.Thread(target=watch)
        watcher.start()
        prepare(way, vectors(num_rows, way, Path(place)))(np.random.default_rng(0).permutation(num_rows))
        done.set()
        watcher.join()
        return most - before


def measure_memory(numbers: list[int]) -> None:
    """Prints the most memory that training takes, one process per cell."""
    print(f"\n| way | {' | '.join(f'{rows:,} rows' for rows in numbers)} |\n|---|{'---|' * len(numbers)}")
    processes = multiprocessing.get_context("spawn")
    for way in MEMORY_WAYS:
        cells = []
        for num_rows in numbers:
            with processes.Pool(1) as pool:
                cells.append(f"{pool.apply(memory, (num_rows, way)):,.0f} MB")
        print(f"| {way.name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=4907, help="rows of an epoch; the default is TREC's")
    parser.add_argument("--rounds", type=int, default=7, help="epochs per way")
    parser.add_argument("--memory-rows", type=int, nargs="*", default=[5000, 20_000, 80_000])
    arguments = parser.parse_args()
    time_steps(arguments.rows, arguments.rounds)
    if arguments.memory_rows:
        measure_memory(arguments.memory_rows)


if __name__ == "__main__":
    main()
