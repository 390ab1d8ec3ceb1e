"""Ctrl-C and SIGTERM, by which `timeout`, `docker stop` and batch systems end a process: both are heard."""

import _thread
import contextlib
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

# `timeout` sends one to the process and one to its group: the second must not disturb the tidying up.
SAME_REQUEST_S = 1.0
# By then what lost an interruption, such as a destructor, has ended.
RETRY_S = 0.02


@contextlib.contextmanager
def interruptions_heard() -> Iterator[Callable[[], bool]]:
    """Makes SIGTERM end the block as Ctrl-C does, by KeyboardInterrupt in the main thread, and loses neither.

    Python drops an exception that a destructor or a weak reference's callback raises, and TensorFlow has
    many of both while it traces; an interruption that falls into one comes again.

    Who handles or ignores SIGTERM already goes on doing so. In another thread than the main one nothing is
    done: Python allows no handler there.

    Yields:
        What says whether SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    latest = -math.inf
    terminated = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal latest, terminated
        terminated = True
        before, latest = latest, time.monotonic()
        if latest - before > SAME_REQUEST_S:
            raise KeyboardInterrupt

    def repeat_if_lost(lost: Any) -> None:
        nonlocal latest
        if not issubclass(lost.exc_type, KeyboardInterrupt):
            report(lost)
            return
        latest = -math.inf
        number = signal.SIGTERM if terminated else signal.SIGINT
        again = threading.Timer(RETRY_S, _signal_main_thread, [number])
        again.daemon = True
        again.start()

    report, sys.unraisablehook = sys.unraisablehook, repeat_if_lost
    handles = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if handles:
        signal.signal(signal.SIGTERM, interrupt)
    try:
        yield lambda: terminated
    finally:
        if handles:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.unraisablehook = report


def _signal_main_thread(number: signal.Signals) -> None:
    """Sends a signal so that even what waits for a lock or reads hears it, where the system can."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(number)
