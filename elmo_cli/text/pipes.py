"""Reads pipes without ever waiting for more than is there."""

import os
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import BinaryIO, TypeVar

Item = TypeVar("Item")

_PIECE_BYTES = 1 << 16
_MAX_WAITING = 4096  # rows read ahead
_POLL_S = 0.1  # how soon the reader notices that nobody wants its rows any more


def read_pieces(stream: BinaryIO) -> Iterator[bytes]:
    """Yields bytes of a stream as soon as there are some.

    It reads from the file descriptor where there is one: a thread that waits inside a buffered
    ``sys.stdin`` would make the interpreter fail at exit.
    """
    try:
        descriptor = stream.fileno()
    except (OSError, AttributeError):
        read = getattr(stream, "read1", stream.read)
        while piece := read(_PIECE_BYTES):
            yield piece
    else:
        while piece := os.read(descriptor, _PIECE_BYTES):
            yield piece


def as_they_arrive(items: Iterable[Item], max_items: int) -> Iterator[list[Item]]:
    """Gathers items that another thread gets: waits for one, then takes what else is there.

    Args:
        items: What may block; iterated over in a thread of its own, a bounded number of items ahead.
        max_items: Most items of a list.

    Yields:
        Lists of 1 to ``max_items`` items, in order. An error of the iteration is raised after the items
        in front of it.
    """
    waiting: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(_MAX_WAITING)
    stopped = threading.Event()

    def put(entry: tuple[bool, Item | BaseException | None]) -> bool:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put((True, item)):
                    return
            put((False, None))
        except BaseException as error:
            put((False, error))

    threading.Thread(target=work, name="elmo-cli-reader", daemon=True).start()
    try:
        while True:
            gathered: list[Item] = []
            more, item = waiting.get()
            while more:
                gathered.append(item)  # type: ignore[arg-type]
                if len(gathered) == max_items:
                    break
                try:
                    more, item = waiting.get_nowait()
                except queue.Empty:
                    break
            if gathered:
                yield gathered
            if not more:
                if item is not None:
                    raise item  # type: ignore[misc]
                return
    finally:
        stopped.set()
