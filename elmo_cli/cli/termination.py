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
# Functions of TensorFlow that must not be left half-way: one would keep its lock, and what tidies up wait
# for it forever; of an error that the other makes for C++ another would come out.
FRAGILE = ("tensorflow/python/util/lock_util.py", "tensorflow/python/framework/errors_impl.py")
_MOST_CALLS_WITHIN = 6
# They are left by then; each takes microseconds.
POSTPONED_S = 0.005
_MOST_POSTPONEMENTS = 200
# By then what lost an interruption, such as a destructor, has ended, and so has the tidying up after an
# error that C code made of it.
RETRY_S = 0.2


@contextlib.contextmanager
def interruptions_heard() -> Iterator[Callable[[], bool]]:
    """Makes SIGTERM end the block as Ctrl-C does, by KeyboardInterrupt in the main thread, and loses neither.

    One that falls into what TensorFlow must not leave half-way, and one that is lost (see `Interruption`),
    comes again a moment later, unless the block has ended by then.

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
    num_postponed = 0

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal latest, terminated, num_postponed
        if _is_fragile(frame) and num_postponed < _MOST_POSTPONEMENTS:
            num_postponed += 1
            send_later(POSTPONED_S, signal.Signals(number), lambda: True)
            return
        num_postponed = 0
        if number == signal.SIGTERM:
            terminated = True
            before, latest = latest, time.monotonic()
            if latest - before <= SAME_REQUEST_S:
                return
        raise Interruption(when_lost)

    def when_lost() -> None:
        nonlocal latest
        latest = -math.inf
        number = signal.SIGTERM if terminated else signal.SIGINT
        send_later(RETRY_S, number, lambda: Interruption.lost)

    def send_later(pause_s: float, number: signal.Signals, still_wanted: Callable[[], bool]) -> None:
        def send() -> None:
            time.sleep(pause_s)
            if still_wanted() and not ended:
                _signal_main_thread(number)

        # Not one of threading: its locks may be held where the signal came or the interruption was lost.
        _thread.start_new_thread(send, ())

    def report_others(lost: Any) -> None:
        if not issubclass(lost.exc_type, Interruption):
            report(lost)

    report, sys.unraisablehook = sys.unraisablehook, report_others
    own = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    handlers = {number: handler for number, handler in own.items() if signal.getsignal(number) is handler}
    for number in handlers:
        signal.signal(number, interrupt)
    try:
        yield lambda: terminated
    finally:
        ended = True
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = report


def _is_fragile(frame: FrameType | None) -> bool:
    """Whether the innermost calls are within one of FRAGILE."""
    for _ in range(_MOST_CALLS_WITHIN):
        if frame is None:
            return False
        if frame.f_code.co_filename.replace("\\", "/").endswith(FRAGILE):
            return True
        frame = frame.f_back
    return False


def _signal_main_thread(number: signal.Signals) -> None:
    """Sends a signal so that even what waits for a lock or reads hears it, where the system can."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        _thread.interrupt_main(number)
