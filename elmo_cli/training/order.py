"""The order of the training rows in an epoch."""

import numpy as np
from numpy.typing import NDArray

# Up to so many rows are shuffled as a whole; with three layers of 768 numbers in half precision: 300 MB.
WINDOW_ROWS = 65_536
# Neighbours that stay in one window: enough for a disk to read them in one go.
RUN_ROWS = 64
# Batches that are cut from one pool of rows sorted by length: enough to pad little, few enough to differ.
POOL_BATCHES = 50


def epoch_order(num_rows: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Shuffles rows, in a way that a file larger than memory can follow.

    Up to ``WINDOW_ROWS`` rows every order is as likely as any other. Of more rows, whole runs of
    ``RUN_ROWS`` neighbours are shuffled first, and then the rows within each window of ``WINDOW_ROWS``: a
    window holds runs from everywhere, and while it is used the system keeps its part of the file in
    memory, so that an epoch reads the file about once instead of once per row.

    Args:
        num_rows: How many rows N there are.
        seed: At least 0.
        epoch: Number of the epoch, at least 0; on these three alone the order depends.

    Returns:
        Each number from 0 to N - 1 once, int64 (N,).
    """
    random = np.random.default_rng((seed, epoch))
    if num_rows <= WINDOW_ROWS:
        return random.permutation(num_rows)
    runs = random.permutation(-(-num_rows // RUN_ROWS))
    order = (runs[:, None] * RUN_ROWS + np.arange(RUN_ROWS)).ravel()
    order = order[order < num_rows]  # the last run may be shorter
    for start in range(0, num_rows, WINDOW_ROWS):
        random.shuffle(order[start : start + WINDOW_ROWS])
    return order


def batches_of_like_length(
    lengths: NDArray[np.int32], batch_size: int, *, seed: int, epoch: int
) -> list[NDArray[np.int64]]:
    """Shuffles rows into batches of nearly equal lengths, so that little is padded.

    Rows are shuffled as a whole, those of each window of `POOL_BATCHES` batches are sorted by length and cut
    into batches, and the batches are shuffled.

    Args:
        lengths: Of each row, int32 (N,).
        batch_size: Rows of a batch; of all but one of the batches.
        seed: At least 0.
        epoch: Number of the epoch, at least 0; with the seed it decides the order.

    Returns:
        Rows of each batch, int64; each row from 0 to N - 1 stands in one of them once.
    """
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(len(lengths))
    pool_rows = POOL_BATCHES * batch_size
    batches = []
    for start in range(0, len(order), pool_rows):
        pool = order[start : start + pool_rows]
        pool = pool[np.argsort(lengths[pool], kind="stable")]
        batches += [pool[first : first + batch_size] for first in range(0, len(pool), batch_size)]
    return [batches[number] for number in random.permutation(len(batches))]
