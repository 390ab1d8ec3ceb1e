"""SIGTERM, by which `timeout`, `docker stop` and batch systems end a process, taken for Ctrl-C."""

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

# `timeout` sends one to the process and one to its group: the second must not disturb the tidying up.
SAME_REQUEST_S = 1.0


@contextlib.contextmanager
def sigterm_like_ctrl_c() -> Iterator[Callable[[], bool]]:
    """Makes SIGTERM end the block as Ctrl-C does, by KeyboardInterrupt in the main thread.

    Who handles or ignores it already goes on doing so.

    Yields:
        What says whether it came.
    """
    last: float | None = None

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if before is None or last - before > SAME_REQUEST_S:
            raise KeyboardInterrupt

    # Elsewhere than in the main thread Python allows no handler.
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield lambda: False
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: last is not None
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
