"""Ctrl-C that waits until a training step is done."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType


class SecondInterrupt(KeyboardInterrupt):
    """Ctrl-C was pressed twice: nothing is waited for, and nothing is saved."""


@contextlib.contextmanager
def interrupted_between_steps() -> Iterator[Callable[[], None]]:
    """Keeps Ctrl-C from falling between a step and the counting of it.

    A checkpoint that is saved then would be a step ahead of its own count, and the step would be taken twice.

    Yields:
        What is to be called between two steps: it raises KeyboardInterrupt if Ctrl-C was pressed. Pressed a
        second time, SecondInterrupt is raised at once.
    """
    pressed = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise SecondInterrupt
        pressed = True

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    # Elsewhere than in the main thread Python allows no handler; and who ignores Ctrl-C goes on ignoring it.
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield check
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
