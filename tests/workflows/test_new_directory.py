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


def test_nothing_is_left_when_the_block_fails(tmp_path: Path) -> None:
    def write(directory: Path) -> None:
        (directory / "file").write_text("half of it")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), new_directory(tmp_path / "place") as beside:
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


def test_what_another_process_made_meanwhile_is_not_touched(tmp_path: Path) -> None:
    def write() -> None:
        (tmp_path / "place").mkdir()
        (tmp_path / "place" / "file").write_text("theirs")

    with pytest.raises(RunError, match="place cannot be written"), new_directory(tmp_path / "place"):
        write()
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
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(RunError, match=r"is not writable\. Choose another -o, or make it writable"):
        check_new_directory(tmp_path / "closed" / "place")
