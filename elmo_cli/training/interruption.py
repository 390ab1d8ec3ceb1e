"""Interruptions: one that gets lost on its way is known, and one within a training step waits for its end."""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import ClassVar

from elmo_cli.errors import ElmoCliError

logger = logging.getLogger(__name__)


class Interruption(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, raised by a handler; it knows when it is lost.

    Python drops what a destructor or a weak reference's callback raises, and C code, of which TensorFlow
    runs much while it traces, drops an exception or makes another of it. Then this one is gone before
    anybody called `arrive`.

    Args:
        when_lost: Called then; from a destructor, so that it must neither raise nor wait for a lock. If
            the interruption is still wanted, it sets `lost` and raises another soon.

    Attributes:
        lost: Whether the latest is lost, and no other came yet.
    """

    lost: ClassVar[bool] = False

    def __init__(self, when_lost: Callable[[], None]) -> None:
        super().__init__()
        self.when_lost: Callable[[], None] | None = when_lost
        Interruption.lost = False

    def __del__(self) -> None:
        if self.when_lost is not None:
            self.when_lost()


class SecondInterrupt(KeyboardInterrupt):
    """Ctrl-C was pressed twice: nothing is waited for, and nothing is saved."""


def arrive(error: BaseException) -> None:
    """Says that an interruption, or what was raised from one, came where it is answered."""
    for cause in _causes(error):
        if isinstance(cause, Interruption):
            cause.when_lost = None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yields an error and what it was raised from or during."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


@contextlib.contextmanager
def interruptions_as_such() -> Iterator[None]:
    """Raises KeyboardInterrupt again where the code that it fell into made another error of it.

    That is C code, and tidying up that fails because of it. Our own errors stay what they are, unless they
    come of an interruption that is lost.
    """
    try:
        yield
    except Exception as error:
        if not Interruption.lost and not _comes_of_interruption(error):
            raise
        Interruption.lost = False
        raise KeyboardInterrupt from error


def _comes_of_interruption(error: Exception) -> bool:
    # Of SystemError also one that no handler of ours raised: a function of C "returned a result with an
    # exception set".
    kind = KeyboardInterrupt if isinstance(error, SystemError) else Interruption
    own = isinstance(error, ElmoCliError)
    return not own and any(isinstance(cause, kind) for cause in _causes(error))


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
    held: KeyboardInterrupt | None = None

    def hold(number: int, frame: FrameType | None) -> None:
        nonlocal held
        try:
            handlers[signal.Signals(number)](number, frame)
        except KeyboardInterrupt as error:
            if held:
                raise SecondInterrupt from error
            held = error
            # Here, because what is under way may take long; a thread can take the locks of logging twice.
            logger.warning(
                "Interrupted: finishing this step and saving a checkpoint. Press Ctrl-C again to stop at "
                "once without saving."
            )

    def check() -> None:
        if held:
            raise held

    for number in handlers:
        signal.signal(number, hold)
    try:
        yield check
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if held:
            arrive(held)
