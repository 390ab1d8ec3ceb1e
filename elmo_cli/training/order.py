"""The order of the training rows in an epoch."""

import numpy as np
from numpy.typing import NDArray

# Up to so many rows are shuffled as a whole; with three layers of 768 numbers in half precision: 300 MB.
WINDOW_ROWS = 65_536
# Neighbours that stay in one window: enough for a disk to read them in one go.
RUN_ROWS = 64


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
