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

from elmo_cli.training.interruption import Interruption

# `timeout` sends one to the process and one to its group: the second must not disturb the tidying up.
SAME_REQUEST_S = 1.0
# By then what lost an interruption, such as a destructor, has ended, and so has the tidying up after an
# error that C code made of it.
RETRY_S = 0.2


@contextlib.contextmanager
def interruptions_heard() -> Iterator[Callable[[], bool]]:
    """Makes SIGTERM end the block as Ctrl-C does, by KeyboardInterrupt in the main thread, and loses neither.

    One that is lost (see `Interruption`) comes again a moment later, unless the block has ended by then.

    Who handles or ignores a signal already goes on doing so. In another thread than the main one nothing is
    done: Python allows no handler there.

    Yields:
        What says whether SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    latest = -math.inf
    terminated = False
    ended = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal latest, terminated
        if number == signal.SIGTERM:
            terminated = True
            before, latest = latest, time.monotonic()
            if latest - before <= SAME_REQUEST_S:
                return
        raise Interruption(come_again)

    def come_again() -> None:
        nonlocal latest
        latest = -math.inf
        # Not one of threading: its locks may be held where the interruption was lost.
        _thread.start_new_thread(repeat, (signal.SIGTERM if terminated else signal.SIGINT,))

    def repeat(number: signal.Signals) -> None:
        time.sleep(RETRY_S)
        if Interruption.lost and not ended:
            _signal_main_thread(number)

    def report_others(lost: Any) -> None:
        if not issubclass(lost.exc_type, Interruption):
            report(lost)

    report, sys.unraisablehook = sys.unraisablehook, report_others
    own = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    before = {number: handler for number, handler in own.items() if signal.getsignal(number) is handler}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield lambda: terminated
    finally:
        ended = True
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = report


def _signal_main_thread(number: signal.Signals) -> None:
    """Sends a signal so that even what waits for a lock or reads hears it, where the system can."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(number)
