"""The cache through real processes: at once, killed, damaged, full."""

import contextlib
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections import namedtuple
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from cache_process import found, items, key, value

from elmo_cli.byte_counts import format_bytes
from elmo_cli.elmo import cache_file
from elmo_cli.elmo.cache import DEFAULT_BYTES, EmbeddingCache
from elmo_cli.elmo.cache_file import CacheFile

SMALL = 2_000_000  # a bound that some 300 values of 5 kB fill


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "embeddings"


@contextlib.contextmanager
def child(code: str, project: Path) -> Iterator[subprocess.Popen[str]]:
    """Runs code in a process of its own, which is killed in the end if need be."""
    setting = {**os.environ, "PYTHONPATH": os.pathsep.join([str(project), str(project / "tests")])}
    command = [sys.executable, "-c", f"from cache_process import *\n{textwrap.dedent(code)}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=setting) as process:
        try:
            yield process
        finally:
            process.kill()


def writer(place: Path, max_bytes: int, start: int, stop: int, project: Path) -> Any:
    """The process that `cache_process.write_and_read` describes."""
    return child(f"write_and_read({str(place)!r}, {max_bytes}, {start}, {stop})", project)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def the_file(place: Path) -> Path:
    (file,) = place.glob("*.sqlite")
    return file


def size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.iterdir())


def test_what_one_session_writes_the_next_one_reads(place: Path) -> None:
    with EmbeddingCache(place) as cache:
        assert found(cache, range(5)) == set()
        cache.write(items(range(5)))
        assert found(cache, range(5)) == set(range(5))
    with EmbeddingCache(place) as cache:
        assert cache.count([key(number) for number in (3, 9, 3)]) == 2
        positions = sorted(position for position, _ in cache.read([key(3), key(9), key(0), key(3)]))
        assert positions == [0, 2, 3]
        assert cache.num_bytes == size(place)


def test_memory_of_any_shape_is_kept_as_bytes(place: Path) -> None:
    numbers = memoryview(bytes(range(24))).cast("H", (3, 4))
    with EmbeddingCache(place) as cache:
        cache.write([(key(0), numbers), (key(1), b"")])
        assert dict(cache.read([key(0), key(1)])) == {0: bytes(range(24)), 1: b""}


def test_a_value_that_is_there_is_not_replaced(place: Path) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items([1]))
        cache.write([(key(1), b"another"), (key(2), b"new")])
        assert dict(cache.read([key(1), key(2)])) == {0: value(key(1)), 1: b"new"}


def test_items_may_be_made_while_they_are_written_and_written_while_others_are_read(place: Path) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items(range(1000)))
        for position, content in cache.read([key(number) for number in range(1000)]):
            if position % 100 == 0:
                cache.write([(key(1000 + position), content)])
        assert cache.count([key(number) for number in range(1000, 2000)]) == 10


def test_what_was_yielded_before_items_failed_is_kept_or_absent(place: Path) -> None:
    def failing() -> Iterator[tuple[bytes, bytes]]:
        yield from items(range(1000))
        raise KeyError("x")

    with EmbeddingCache(place) as cache:
        with pytest.raises(KeyError):
            cache.write(failing())
        assert found(cache, range(1000)) > {0, 1, 2}


# Several processes


def test_two_processes_read_and_write_at_once(place: Path, project: Path) -> None:
    with (
        writer(place, 10**9, 0, 400, project) as one,
        writer(place, 10**9, 200, 600, project) as other,
    ):
        assert (one.wait(60), other.wait(60)) == (0, 0)
    with EmbeddingCache(place) as cache:
        assert found(cache, range(700)) == set(range(600))


def test_two_processes_evict_at_once(place: Path, project: Path) -> None:
    for start in (0, 1000, 2000):
        with (
            writer(place, SMALL, start, start + 200, project) as one,
            writer(place, SMALL, start + 100, start + 300, project) as other,
        ):
            assert (one.wait(60), other.wait(60)) == (0, 0)
    assert size(place) <= SMALL
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        assert found(cache, range(3000))


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("max_bytes", [10**9, SMALL])
def test_a_process_may_be_killed_at_any_moment(place: Path, project: Path, max_bytes: int) -> None:
    chance = random.Random(0)
    written = 0
    for _ in range(6):
        with writer(place, max_bytes, written, 10**9, project) as process:
            assert process.stdout is not None
            before = written
            for _ in range(chance.randrange(1, 4)):
                written = int(process.stdout.readline())
            time.sleep(chance.random() * 0.02)
            process.send_signal(signal.SIGKILL)
            written = max([written, *map(int, process.stdout.read().split()[:-1])])
        # With the small bound this session is the one that evicts what older ones wrote.
        with EmbeddingCache(place, max_bytes=max_bytes) as cache:
            present = found(cache, range(before, written))
            assert present == set(range(before, written)) or max_bytes == SMALL
            assert present
            cache.write(items(range(10**6 + written, 10**6 + written + 20)))
    connection = sqlite3.connect(the_file(place))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    orphans = "SELECT count(*) FROM contents WHERE id NOT IN (SELECT id FROM entries)"
    assert connection.execute(orphans).fetchone() == (0,)
    connection.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_opens_its_own(place: Path, project: Path) -> None:
    code = f"""
    import os, sys
    with EmbeddingCache({str(place)!r}) as cache:
        cache.write(items(range(10)))
        child = os.fork()
        start = 10 if child else 100
        for number in range(start, start + 50):
            cache.write(items([number]))
            assert found(cache, range(start, number + 1)) == set(range(start, number + 1))
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    with child(code, project) as process:
        assert process.wait(60) == 0
    with contextlib.closing(sqlite3.connect(the_file(place))) as connection:
        assert connection.execute("SELECT session FROM clock").fetchone() == (
            2,
        )  # the parent's and the child's
    with EmbeddingCache(place) as cache:
        assert found(cache, range(200)) == {*range(60), *range(100, 150)}


def test_it_loads_no_tensorflow_and_commands_load_no_sqlite(project: Path) -> None:
    code = "import sys; assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    with child(code, project) as process:
        assert process.wait(60) == 0
    code = "import sys, elmo_cli.cli.train, elmo_cli.cli.predict; sys.exit('sqlite3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=project, check=False).returncode == 0


# Damage


def test_a_damaged_value_counts_as_absent_and_can_be_written_again(place: Path) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items(range(10)))
    content = bytearray(the_file(place).read_bytes())
    content[content.index(value(key(3))[-100:]) + 50] ^= 1
    the_file(place).write_bytes(content)
    with EmbeddingCache(place) as cache:
        assert found(cache, range(10)) == set(range(10)) - {3}
        cache.write(items([3]))
        assert found(cache, range(10)) == set(range(10))


def test_a_value_under_the_wrong_key_counts_as_absent(place: Path) -> None:
    with EmbeddingCache(place) as cache:
        cache.write([(key(1), b"one"), (key(2), b"two")])
    with contextlib.closing(sqlite3.connect(the_file(place), isolation_level=None)) as connection:
        connection.execute(
            "UPDATE contents SET (checksum, content) = (SELECT checksum, content FROM contents WHERE id = 2)"
        )
    with EmbeddingCache(place) as cache:
        assert dict(cache.read([key(1), key(2)])) == {1: b"two"}


def test_whatever_is_damaged_nothing_wrong_is_read_and_nothing_fails(place: Path, tmp_path: Path) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items(range(60)))
    whole = the_file(place).read_bytes()
    seen, renewed = 0, 0
    for seed in range(40):
        chance = random.Random(seed)
        content = bytearray(whole[: chance.choice([len(whole), chance.randrange(len(whole))])])
        for _ in range(chance.choice([1, 30, 1000])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        damaged = tmp_path / str(seed)
        damaged.mkdir()
        (damaged / the_file(place).name).write_bytes(content)
        with EmbeddingCache(damaged) as cache:
            seen += len(found(cache, range(60)))
            cache.write(items(range(30, 90)))
            seen += len(found(cache, range(90)))
            assert cache.is_on
            renewed += len(list(damaged.glob("*-2.sqlite")))
        shutil.rmtree(damaged)
    assert seen > 0
    assert 0 < renewed < 40


def spoil(path: Path) -> None:
    """Overwrites the pages behind the first: the header stays, all else is gone."""
    length = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"x" * (length - 4096))


def test_a_damaged_file_is_replaced_with_one_warning(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items(range(10)))
    old = the_file(place)
    spoil(old)
    with EmbeddingCache(place) as cache:
        assert found(cache, range(10)) == set()
        cache.write(items(range(5)))
        assert found(cache, range(10)) == set(range(5))
    (message,) = warnings(caplog)
    assert message.startswith(f"{old} cannot be used as cache of embeddings any more: database disk image")
    with EmbeddingCache(place) as cache:
        assert found(cache, range(10)) == set(range(5))
    assert len(warnings(caplog)) == 1
    assert not old.exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"CREATE TABLE contents", b"CREATE \xffABLE contents"),  # stands in a message that is no Unicode
        (b"CREATE TABLE entries", b"CREATE TABLE entriss"),
        (b"session INTEGER", b"sessiom INTEGER"),
    ],
)
def test_damaged_names_are_damage_too(
    place: Path, before: bytes, after: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items(range(10)))
    damaged = the_file(place)
    damaged.write_bytes(damaged.read_bytes().replace(before, after))
    with EmbeddingCache(place) as cache:
        assert found(cache, range(10)) == set()
        cache.write(items(range(10)))
        assert found(cache, range(10)) == set(range(10))
    (message,) = warnings(caplog)
    assert "A new one is begun" in message


@pytest.mark.parametrize("content", [b"my notes", b"\0" * 10_000, b"SQLite format 3\0" + b"x" * 5000])
def test_a_foreign_file_is_left_where_it_is(
    place: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddingCache(place):
        foreign = the_file(place)
    foreign.write_bytes(content)
    for numbers in (range(5), range(10)):
        with EmbeddingCache(place) as cache:
            cache.write(items(numbers))
            assert found(cache, numbers) == set(numbers)
    assert foreign.read_bytes() == content
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("pragma", ["application_id = 7", f"user_version = {cache_file.FORMAT_VERSION + 1}"])
def test_a_database_of_another_kind_is_not_touched(
    place: Path, pragma: str, caplog: pytest.LogCaptureFixture
) -> None:
    place.mkdir()
    foreign = place / f"v{cache_file.FORMAT_VERSION}-1.sqlite"
    with contextlib.closing(sqlite3.connect(foreign, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE entries (name TEXT)")
        connection.execute(f"PRAGMA {pragma}")
    content = foreign.read_bytes()
    with EmbeddingCache(place) as cache:
        cache.write(items(range(5)))
    assert foreign.read_bytes() == content
    assert "is no cache of format" in " ".join(warnings(caplog))


def test_others_go_on_when_a_file_is_replaced_under_them(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddingCache(place) as other:
        other.write(items(range(200)))
        spoil(the_file(place))
        with EmbeddingCache(place) as cache:
            assert found(cache, range(200)) == set()
            cache.write(items(range(100)))
        other.write(items(range(200, 300)))
        other.write(items(range(100, 200)))
        assert other.is_on
        assert found(other, range(200)) == set(range(200))
    assert len(warnings(caplog)) == 2  # each of the two says it once


def test_a_file_that_is_gone_is_begun_anew(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items(range(5)))
        the_file(place).unlink()
        cache.write(items(range(5, 10)))  # finds out
        cache.write(items(range(5, 10)))
        assert found(cache, range(10)) == set(range(5, 10))
    assert len(warnings(caplog)) == 1


# Where nothing can be kept


def assert_off(cache: EmbeddingCache, caplog: pytest.LogCaptureFixture, reason: str) -> None:
    """Asserts that the cache is off, did say so once, and does no harm."""
    assert not cache.is_on
    cache.write(items(range(3)))
    assert found(cache, range(3)) == set()
    assert cache.count([key(0)]) == cache.num_bytes == 0
    assert "is off" in cache.describe_growth(10, 100)
    (message,) = warnings(caplog)
    assert "is off for this run: " in message
    assert reason in message


def test_a_place_that_cannot_be_a_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    with EmbeddingCache(tmp_path / "file" / "embeddings") as cache:
        assert_off(cache, caplog, str(tmp_path / "file"))


def test_no_home_directory(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("ELMO_CLI_CACHE", "~no-such-user/cache")
    with EmbeddingCache() as cache:
        assert_off(cache, caplog, "no home directory")


def test_the_default_place_is_in_the_cache_directory(cache: Path) -> None:
    with EmbeddingCache() as opened:
        assert opened.directory == cache / "embeddings"
        assert the_file(cache / "embeddings")


def test_a_file_that_may_only_be_read(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items(range(3)))
    connect = sqlite3.connect  # permissions do not stop root
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **kwargs: connect(f"{path.as_uri()}?mode=ro", uri=True, **kwargs)
    )
    with EmbeddingCache(place) as cache:
        assert found(cache, range(3)) == set()
        assert_off(cache, caplog, "attempt to write a readonly database")


def test_a_full_disk(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with EmbeddingCache(place) as cache:
        cache.write(items(range(20)))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        try:
            cache.write(items(range(20, 2000)))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert_off(cache, caplog, "disk I/O error")
    with EmbeddingCache(place) as cache:
        assert found(cache, range(20)) == set(range(20))


def test_a_lock_that_is_held_too_long(
    place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cache_file, "LOCK_TIMEOUT_S", 0.05)
    with EmbeddingCache(place) as cache, EmbeddingCache(place) as second:
        cache.write(items(range(3)))
        other = sqlite3.connect(the_file(place), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        cache.write(items(range(3, 6)))
        assert_off(cache, caplog, "database is locked")
        other.rollback()
        other.close()
        assert found(second, range(6)) == {0, 1, 2}


def test_a_directory_that_goes_away_during_the_run(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items(range(3)))
        shutil.rmtree(place)
        cache.write(items(range(3)))
        found(cache, range(3))
    assert warnings(caplog)


def test_a_closed_cache_is_off(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = EmbeddingCache(place)
    cache.write(items(range(200)))
    under_way = cache.read([key(0), key(1)])
    next(under_way)
    cache.close()
    assert not cache.is_on
    assert len(list(under_way)) <= 1
    assert found(cache, range(3)) == set()
    cache.close()
    assert warnings(caplog) == []


# Size


def test_the_least_recently_used_go_first(place: Path) -> None:
    for start in (0, 50, 100):
        with EmbeddingCache(place, max_bytes=SMALL) as cache:
            cache.write(items(range(start, start + 50)))
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        assert found(cache, range(50)) == set(range(50))
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        cache.write(items(range(1000, 1100)))
        assert size(place) <= SMALL
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        assert found(cache, range(1000, 1100)) == set(range(1000, 1100))
        assert found(cache, range(50)) == set(range(50))
        assert len(found(cache, range(50, 100))) < 50


def test_the_bound_holds_over_many_sessions(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    for start in range(0, 900, 150):
        with EmbeddingCache(place, max_bytes=SMALL) as cache:
            for number in range(start, start + 150, 30):
                cache.write(items(range(number, number + 30)))
                assert size(place) <= SMALL
            assert found(cache, range(start, start + 150)) == set(range(start, start + 150))
    assert warnings(caplog) == []


def test_what_this_session_used_is_not_thrown_out_for_more(
    place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        cache.write(items(range(100)))
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        assert found(cache, range(100)) == set(range(100))
        cache.write(items(range(100, 2000)))
        cache.write(items(range(2000, 3000)))
        present = found(cache, range(3000))
        assert present == set(range(len(present)))
        assert len(present) > 150
        assert cache.is_on
    assert size(place) <= SMALL
    (message,) = warnings(caplog)
    assert "is full (2 MB), and all in it is in use" in message


def test_what_others_use_while_it_evicts_stays(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        cache.write(items(range(300)))
        kept = found(cache, range(300))
    remove = CacheFile._remove

    def interrupted(self: CacheFile, entries: Sequence[int], **options: float) -> None:
        """Between the choice of the oldest entries and their removal, another session reads 50 of them."""
        monkeypatch.undo()
        with EmbeddingCache(place, max_bytes=SMALL) as other:
            assert found(other, range(50)) == set(range(50))
        remove(self, entries, **options)

    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        monkeypatch.setattr(CacheFile, "_remove", interrupted)
        cache.write(items(range(1000, 1010)))
        assert found(cache, range(50)) == set(range(50))
        assert len(found(cache, sorted(kept))) < len(kept)


def test_a_value_that_would_push_out_too_much_is_not_kept(place: Path) -> None:
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        cache.write(items(range(100)))
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        cache.write([(key(-1), bytes(SMALL // 8 + 1)), *items([100])])
        assert found(cache, range(101)) == set(range(101))
        assert cache.count([key(-1)]) == 0


def test_a_lower_bound_makes_the_file_smaller(place: Path) -> None:
    with EmbeddingCache(place) as cache:
        cache.write(items(range(1000)))
        assert size(place) > 2 * SMALL
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        assert found(cache, range(500, 600)) == set(range(500, 600))
    assert size(place) <= SMALL
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        assert found(cache, range(500, 600)) == set(range(500, 600))
        assert found(cache, range(1000)) < set(range(1000))


def test_no_bytes_is_no_cache(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with EmbeddingCache(place, max_bytes=0) as cache:
        cache.write(items(range(3)))
        assert found(cache, range(3)) == set()
    assert not place.exists()
    assert warnings(caplog) == []


def test_too_few_bytes_are_said(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    with EmbeddingCache(place, max_bytes=999_999) as cache:
        assert_off(cache, caplog, "1 MB is all it may take")
    with pytest.raises(ValueError, match="max_bytes must be at least 0, not -1"):
        EmbeddingCache(place, max_bytes=-1)


def test_by_default_it_leaves_most_of_the_disk_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**15))
    with EmbeddingCache(place) as cache:
        assert cache.max_bytes == DEFAULT_BYTES
        cache.write(items(range(100)))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9))
    with EmbeddingCache(place) as cache:
        assert cache.max_bytes == (10**9 + size(place)) // 4
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0))
    with EmbeddingCache(place / "other") as cache:
        assert not cache.is_on


def test_growth_is_said_in_words(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(place.parent))
    where = f"the cache in {Path('~/embeddings')}"
    with EmbeddingCache(place, max_bytes=10**9) as cache:
        said = cache.describe_growth(5452, 4608)
        assert said == f"About 28 MB will be added to {where} (now 29 kB of at most 1 GB)"
    with EmbeddingCache(place, max_bytes=SMALL) as cache:
        cache.write(items(range(150)))
        now = f"(now {format_bytes(size(place))} of at most 2 MB)"
        said = cache.describe_growth(200, 4608)
        assert said == f"About 1 MB will be added to {where} {now}; what was not used for longest makes room"
        assert cache.describe_growth(1000, 4608) == f"About 5.2 MB are more than {where} can hold {now}"


def test_a_bound_that_nobody_named_throws_nothing_away(tmp_path, monkeypatch):
    monkeypatch.setattr("elmo_cli.elmo.cache.DEFAULT_BYTES", 2 * 10**6)
    keys = [bytes([number]) * 32 for number in range(30)]
    with EmbeddingCache(tmp_path, max_bytes=10**7) as cache:
        cache.write((key, key * 6000) for key in keys)
    with EmbeddingCache(tmp_path) as cache:
        cache.write([(b"x" * 32, b"one more")])
    with EmbeddingCache(tmp_path) as cache:
        assert cache.count(keys) >= 29


def test_a_cache_that_is_not_wanted_says_nothing(monkeypatch, caplog):
    monkeypatch.setenv("ELMO_CLI_CACHE", "~no-such-user-anywhere/cache")
    with EmbeddingCache(max_bytes=0) as cache:
        assert not cache.is_on
        assert list(cache.read([b"x" * 32])) == []
    assert not caplog.text
