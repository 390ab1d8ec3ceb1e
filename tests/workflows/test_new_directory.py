"""A directory that is made is whole or absent."""

import errno
import os
from pathlib import Path

import pytest

from elmo_cli.errors import RunError
from elmo_cli.workflows.new_directory import check_new_directory, new_directory


def test_it_appears_when_the_block_ends(tmp_path: Path) -> None:
    place = tmp_path / "new" / "place"
    with new_directory(place) as beside:
        (beside / "folder").mkdir()
        (beside / "folder" / "file").write_text("content")
        assert not place.exists()
    assert (place / "folder" / "file").read_text() == "content"
    assert [path.name for path in place.parent.iterdir()] == ["place"]


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    with new_directory(tmp_path / "link") as beside:
        (beside / "file").write_text("content")
    assert (tmp_path / "link" / "file").read_text() == "content"
    assert (tmp_path / "link").is_symlink()


def test_an_empty_directory_stays_the_one_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o750)
    before = place.stat()
    monkeypatch.chdir(place)
    with new_directory(Path(".")) as inside:
        (inside / "folder").mkdir()
        (inside / "folder" / "file").write_text("content")
        (inside / "file").write_text("content")
        # Where the parent cannot be written, or the place is another disk, nothing could be moved.
        assert [path.name for path in tmp_path.iterdir()] == ["place"]
        assert inside.parent == place
    assert sorted(path.name for path in place.iterdir()) == ["file", "folder"]
    assert Path("folder/file").read_text() == "content"
    assert (place.stat().st_ino, place.stat().st_mode) == (before.st_ino, before.st_mode)


def test_an_empty_directory_is_a_model_only_when_all_else_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, moved = os.rename, []

    def rename(source: Path, target: Path) -> None:
        moved.append(target.name)
        really(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with new_directory(tmp_path) as inside:
        for name in ("saved_model.pb", "MODEL_CARD.md", "variables", "zebra"):
            (inside / name).write_text("content")
    assert sorted(moved) == ["MODEL_CARD.md", "saved_model.pb", "variables", "zebra"]
    assert moved[-1] == "saved_model.pb"


@pytest.mark.parametrize("error", [OSError(errno.EIO, os.strerror(errno.EIO)), KeyboardInterrupt()])
def test_an_empty_directory_is_empty_again_when_something_cannot_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    really = os.rename

    def rename(source: Path, target: Path) -> None:
        if target == tmp_path / "saved_model.pb":
            raise error
        really(source, target)

    def write() -> None:
        with new_directory(tmp_path) as inside:
            for name in ("saved_model.pb", "variables"):
                (inside / name).write_text("content")

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(RunError if isinstance(error, OSError) else KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_in_an_empty_directory_is_removed_in_the_end(tmp_path: Path) -> None:
    (tmp_path / ".tmp-0123abcd").mkdir()
    (tmp_path / ".tmp-0123abcd" / "half").write_text("half of it")
    with pytest.raises(ZeroDivisionError), new_directory(tmp_path):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == [".tmp-0123abcd"]
    with new_directory(tmp_path) as inside:
        (inside / "file").write_text("content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("there", [False, True])
def test_nothing_is_left_when_the_block_fails(tmp_path: Path, there: bool) -> None:
    def write(directory: Path) -> None:
        (directory / "file").write_text("half of it")
        raise KeyboardInterrupt

    place = tmp_path if there else tmp_path / "place"
    with pytest.raises(KeyboardInterrupt), new_directory(place) as beside:
        write(beside)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_with_the_place(tmp_path: Path) -> None:
    message = r"place cannot be written: No space left on device\. Choose another -o"
    with pytest.raises(RunError, match=message), new_directory(tmp_path / "place"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list(tmp_path.iterdir()) == []


def test_other_errors_of_the_block_pass(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), new_directory(tmp_path / "place") as beside:
        (beside / "file").write_text((tmp_path / "source").read_text())
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_said_with_the_place(tmp_path: Path) -> None:
    message = "place cannot be written: Is a directory"
    with pytest.raises(RunError, match=message), new_directory(tmp_path / "place") as beside:
        beside.write_text("content")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_cannot_synchronise_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", refuse)
    with new_directory(tmp_path / "place") as beside:
        (beside / "file").write_text("content")
    assert (tmp_path / "place" / "file").read_text() == "content"


@pytest.mark.parametrize("there", [False, True])
def test_what_another_process_made_meanwhile_is_not_touched(tmp_path: Path, there: bool) -> None:
    def write() -> None:
        (tmp_path / "place").mkdir(exist_ok=there)
        (tmp_path / "place" / "file").write_text("theirs")

    if there:
        (tmp_path / "place").mkdir()

    with pytest.raises(RunError, match="place cannot be written"), new_directory(tmp_path / "place"):
        write()
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["file"]
    assert (tmp_path / "place" / "file").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_what_is_there_already_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("content")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("content")
    for place, message in (
        ("file", "file is a file. Choose another -o: a directory to make"),
        ("full", "full exists and is not empty, so nothing in it is touched. Choose another -o"),
        ("file/below", "cannot be"),
    ):
        with pytest.raises(RunError, match=message):
            check_new_directory(tmp_path / place)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="may write everywhere")
def test_a_place_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "closed" / "open").mkdir()
    (tmp_path / "closed").chmod(0o500)
    check_new_directory(tmp_path / "closed" / "open")
    (tmp_path / "closed" / "open").chmod(0o500)
    with pytest.raises(RunError, match=r"open is not writable\. Choose another -o"):
        check_new_directory(tmp_path / "closed" / "open")
    with pytest.raises(RunError, match=r"is not writable\. Choose another -o, or make it writable"):
        check_new_directory(tmp_path / "closed" / "place")
