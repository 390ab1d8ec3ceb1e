"""An interruption that waits until a training step is done."""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

logger = logging.getLogger(__name__)


class SecondInterrupt(KeyboardInterrupt):
    """Ctrl-C was pressed twice: nothing is waited for, and nothing is saved."""


@contextlib.contextmanager
def interruptions_as_such() -> Iterator[None]:
    """Raises KeyboardInterrupt again where the C code that it fell into made a SystemError of it."""
    try:
        yield
    except SystemError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise KeyboardInterrupt from error
            cause = cause.__cause__ or cause.__context__
        raise


@contextlib.contextmanager
def interrupted_between_steps() -> Iterator[Callable[[], None]]:
    """Keeps Ctrl-C from falling between a step and the counting of it.

    A checkpoint that is saved then would be a step ahead of its own count, and the step would be taken twice.
    So is SIGTERM kept, where it is taken for Ctrl-C. That it was heard is said at once.

    Yields:
        What is to be called between two steps: it raises KeyboardInterrupt if Ctrl-C was pressed. Pressed a
        second time, SecondInterrupt is raised at once.
    """
    # Elsewhere than in the main thread Python allows no handler; who ignores a signal goes on ignoring it.
    in_main_thread = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if in_main_thread else ()
    handlers = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    interrupted = False

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        try:
            handlers[signal.Signals(number)](number, frame)
        except KeyboardInterrupt as error:
            if interrupted:
                raise SecondInterrupt from error
            interrupted = True
            # Here, because what is under way may take long; a thread can take the locks of logging twice.
            logger.warning(
                "Interrupted: finishing this step and saving a checkpoint. Press Ctrl-C again to stop at "
                "once without saving."
            )

    def check() -> None:
        if interrupted:
            raise KeyboardInterrupt

    for number in handlers:
        signal.signal(number, hold)
    try:
        yield check
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
