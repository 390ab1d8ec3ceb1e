"""The next piece of data is made ready while the current one is worked on."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
_END = object()


def prefetched(items: Iterable[Item]) -> Iterator[Item]:
    """Yields what ``items`` gives, making one item ahead in a thread of its own.

    Worth it where making an item waits for a disk, or copies memory, while the caller waits for a graph.
    At most two items exist at once: the caller's and the next.

    Args:
        items: Asked in the thread alone, one item at a time.

    Yields:
        The items, in their order; what making one raises is raised here.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="elmo-cli-prefetch") as thread:
        pending = thread.submit(next, iterator, _END)
        while (item := pending.result()) is not _END:
            pending = thread.submit(next, iterator, _END)
            yield item  # type: ignore[misc]
            del item  # the caller's alone now, so that no third one is kept
