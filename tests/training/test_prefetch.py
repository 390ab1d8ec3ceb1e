"""One item ahead, in another thread."""

import threading
from collections.abc import Iterator

import pytest

from elmo_cli.training.prefetch import prefetched


def test_items_come_in_their_order():
    assert list(prefetched(iter(range(5)))) == [0, 1, 2, 3, 4]
    assert list(prefetched([])) == []
    assert list(prefetched([None, None])) == [None, None]


def test_the_next_item_is_made_while_the_caller_has_one_and_no_further():
    made: list[threading.Event] = [threading.Event() for _ in range(4)]

    def make() -> Iterator[int]:
        for number, event in enumerate(made):
            assert threading.current_thread() is not threading.main_thread()
            event.set()
            yield number

    for number in prefetched(make()):
        if number + 1 < len(made):
            assert made[number + 1].wait(timeout=60)
        assert not any(event.is_set() for event in made[number + 2 :])


def test_an_error_reaches_the_caller_after_the_items_before_it():
    def make() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    items = prefetched(make())
    assert next(items) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(items)


def test_no_thread_is_left_when_the_caller_stops_early():
    items = prefetched(range(10))
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if "prefetch" in thread.name]
