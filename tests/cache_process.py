"""Keys and values that any process can make and compare, for tests of the cache; loads no TensorFlow."""

import hashlib
import sys
from collections.abc import Iterable, Sequence

from elmo_cli.elmo.cache import EmbeddingCache


def key(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()


def value(key: bytes) -> bytes:
    """What must be found under a key, 1 to 13 kB."""
    return hashlib.shake_256(key).digest(1000 + 47 * key[0])


def items(numbers: Iterable[int]) -> list[tuple[bytes, bytes]]:
    return [(key(number), value(key(number))) for number in numbers]


def found(cache: EmbeddingCache, numbers: Sequence[int]) -> set[int]:
    """Returns which numbers are in the cache, after comparing their values."""
    keys = [key(number) for number in numbers]
    present = set()
    for position, content in cache.read(keys):
        if content != value(keys[position]):
            raise AssertionError(f"a wrong value stands under number {numbers[position]}")
        present.add(numbers[position])
    return present


def write_and_read(place: str, max_bytes: int, start: int, stop: int) -> None:
    """Writes numbers 20 at a time, reads what it wrote before and says how far it is."""
    with EmbeddingCache(place, max_bytes=max_bytes) as cache:
        for number in range(start, stop, 20):
            cache.write(items(range(number, number + 20)))
            found(cache, range(max(start, number - 200), number + 20))
            sys.stdout.write(f"{number + 20}\n")
            sys.stdout.flush()
        if not cache.is_on:
            raise AssertionError("the cache turned itself off")
