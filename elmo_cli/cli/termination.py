"""Ctrl-C and SIGTERM, by which `timeout`, `docker stop` and batch systems end a process: both are heard."""

import _thread
import contextlib
import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from elmo_cli.training.interruption import Interruption, SecondInterrupt

logger = logging.getLogger(__name__)

# `timeout` sends one to the process and one to its group: the second must not disturb the tidying up.
SAME_REQUEST_S = 1.0
# Parts of TensorFlow that must not be left half-way: while a graph is built, it would stay the one that
# everything is added to; a lock would stay held, and what tidies up would wait for it forever; of an error
# that is made for C++ another would come out.
FRAGILE = (
    "tensorflow/python/framework/func_graph.py",
    "tensorflow/python/util/lock_util.py",
    "tensorflow/python/framework/errors_impl.py",
)
POSTPONED_S = 0.02
# Then they are left all the same: `docker stop` kills after 10 seconds.
MOST_POSTPONED_S = 8.0
SAID_AFTER_S = 1.0
# By then what lost an interruption, such as a destructor, has ended, and so has the tidying up after an
# error that C code made of it.
RETRY_S = 0.2


@contextlib.contextmanager
def interruptions_heard() -> Iterator[Callable[[], bool]]:
    """Makes SIGTERM end the block as Ctrl-C does, by KeyboardInterrupt in the main thread, and loses neither.

    One that falls into what TensorFlow must not leave half-way waits until that is done, and one that is lost
    (see `Interruption`) comes again, unless the block has ended by then.

    Who handles or ignores a signal already goes on doing so. In another thread than the main one nothing is
    done: Python allows no handler there.

    Yields:
        What says whether SIGTERM came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    interrupter = _Interrupter()

    def report_others(lost: Any) -> None:
        if not issubclass(lost.exc_type, (Interruption, SecondInterrupt)):
            report(lost)

    report, sys.unraisablehook = sys.unraisablehook, report_others
    own = {signal.SIGTERM: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    handlers = {number: handler for number, handler in own.items() if signal.getsignal(number) is handler}
    for number in handlers:
        signal.signal(number, interrupter.interrupt)
    try:
        yield lambda: interrupter.terminated
    finally:
        interrupter.ended, Interruption.lost = True, False
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.unraisablehook = report


class _Interrupter:
    """Raises an Interruption at a signal, at a time when that does no harm."""

    def __init__(self) -> None:
        self.terminated = False
        self.ended = False
        self._latest = -math.inf
        self._postponed_since: float | None = None
        self._said = False

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal."""
        now = time.monotonic()
        if _is_fragile(frame) and now - (self._postponed_since or now) < MOST_POSTPONED_S:
            self._postponed_since = self._postponed_since or now
            self._send_later(POSTPONED_S, signal.Signals(number), lambda: True)
            return
        self._postponed_since, self._said = None, False
        if number == signal.SIGTERM:
            self.terminated = True
            before, self._latest = self._latest, now
            if now - before <= SAME_REQUEST_S:
                return
        raise Interruption(self._when_lost)

    def _when_lost(self) -> None:
        if self.ended:
            return
        Interruption.lost = True
        self._latest = -math.inf
        number = signal.SIGTERM if self.terminated else signal.SIGINT
        self._send_later(RETRY_S, number, lambda: Interruption.lost)

    def _send_later(self, pause_s: float, number: signal.Signals, is_wanted: Callable[[], bool]) -> None:
        def send() -> None:
            time.sleep(pause_s)
            self._say_what_is_waited_for()
            if is_wanted() and not self.ended:
                _signal_main_thread(number)

        # Not one of threading: its locks may be held where the signal came or the interruption was lost.
        _thread.start_new_thread(send, ())

    def _say_what_is_waited_for(self) -> None:
        since = self._postponed_since
        if since is not None and not self._said and time.monotonic() - since > SAID_AFTER_S:
            self._said = True
            logger.warning("Interrupted: stopping as soon as TensorFlow has built its graph.")


def _is_fragile(frame: FrameType | None) -> bool:
    """Whether any call that has not returned is within one of FRAGILE."""
    while frame is not None:
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
