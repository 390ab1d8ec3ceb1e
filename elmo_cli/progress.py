"""One way to show progress: a bar on a terminal, plain timed lines everywhere else."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from logging.handlers import MemoryHandler
from typing import Any, TypeVar

from tqdm import tqdm

logger = logging.getLogger(__name__)
Item = TypeVar("Item")


def wanted() -> bool:
    """Returns whether messages of level INFO reach the user; where they do not, a bar is not wanted either.

    Files do not count: what a run logs there says nothing of what is shown.
    """
    logger: logging.Logger | None = logging.getLogger("elmo_cli")
    if logger is None or not logger.isEnabledFor(logging.INFO):
        return False
    while logger is not None:
        for handler in logger.handlers:
            if handler.level <= logging.INFO and not isinstance(handler, logging.FileHandler | MemoryHandler):
                return True
        logger = logger.parent if logger.propagate else None
    return False


def bar(*, total: int | None, description: str, unit: str, done: int = 0) -> "tqdm[Any] | None":
    """Opens a bar on stderr that goes away when it is closed.

    Args:
        total: Number of units, None where nobody knows.
        description: What is being done.
        unit: Name of one unit, in the plural.
        done: Units done before.

    Returns:
        The bar; None where lines are to be logged instead: when stderr is not a terminal, or the user
        wants no messages.
    """
    if not sys.stderr.isatty() or not wanted():
        return None
    return tqdm(
        total=total,
        initial=done,
        desc=description,
        unit=f" {unit}",
        leave=False,
        file=sys.stderr,
        delay=1,
    )


def track(
    items: Iterable[Item],
    *,
    total: int | None,
    description: str,
    unit: str = "rows",
    done: int = 0,
    every_s: float = 10.0,
) -> Iterator[Item]:
    """Yields the items and reports how far it is.

    On a terminal a bar is drawn on stderr and removed when done, unless messages are not shown. Elsewhere a
    line is logged every ``every_s`` seconds, so that logs of batch jobs stay short.

    Args:
        items: What to iterate over; each item counts as one unit.
        total: Number of items, for percentage and time left; None where nobody knows.
        description: What is being done, for example ``"embedding"``.
        unit: Name of one item, in the plural.
        done: Units done before, not among the items.
        every_s: Seconds between two lines where no bar is drawn.

    Yields:
        The items, unchanged and in order.
    """
    shown = bar(total=total, description=description, unit=unit, done=done)
    if shown is not None:
        with shown:
            for item in items:
                yield item
                shown.update()
        return
    start = last = time.monotonic()
    for num_done, item in enumerate(items, done):
        now = time.monotonic()
        if now - last >= every_s:
            last = now
            how_far = f"{num_done}" if total is None else f"{num_done} of {total}"
            logger.info("%s: %s %s after %.0f s", description, how_far, unit, now - start)
        yield item
