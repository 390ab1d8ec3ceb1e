"""One way to show progress: a bar on a terminal, plain timed lines everywhere else."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)
Item = TypeVar("Item")


def track(
    items: Iterable[Item], *, total: int, description: str, unit: str = "rows", every_s: float = 10.0
) -> Iterator[Item]:
    """Yields the items and reports how far it is.

    On a terminal a bar is drawn on stderr and removed when done. Elsewhere a line is logged
    every ``every_s`` seconds, so that logs of batch jobs stay short.

    Args:
        items: What to iterate over; each item counts as one unit.
        total: Number of items, for percentage and time left.
        description: What is being done, for example ``"embedding"``.
        unit: Name of one item, in the plural.
        every_s: Seconds between two lines when stderr is not a terminal.

    Yields:
        The items, unchanged and in order.
    """
    if sys.stderr.isatty():
        yield from tqdm(
            items, total=total, desc=description, unit=f" {unit}", leave=False, file=sys.stderr, delay=1
        )
        return
    start = last = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - last >= every_s:
            last = now
            logger.info("%s: %d of %d %s after %.0f s", description, done, total, unit, now - start)
        yield item
