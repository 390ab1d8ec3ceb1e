"""Matrices in memory and in files."""

import errno
import os

import numpy as np
import pytest

from elmo_cli.classifier.matrix import new_matrix
from elmo_cli.errors import RunError

FLOAT = np.dtype(np.float32)


def test_a_matrix_within_the_budget_is_in_memory():
    for memory_bytes in (None, 24):
        matrix = new_matrix((2, 3), FLOAT, memory_bytes=memory_bytes)
        assert not isinstance(matrix, np.memmap)
        assert matrix.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_larger_one_is_in_a_file_that_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path / "cache"))
    matrix = new_matrix((2, 3), FLOAT, memory_bytes=23)
    assert isinstance(matrix, np.memmap)
    assert matrix.tolist() == [[0, 0, 0], [0, 0, 0]]
    matrix[:] = np.arange(6).reshape(2, 3)
    assert matrix.tolist() == [[0, 1, 2], [3, 4, 5]]
    del matrix
    assert not list((tmp_path / "cache").iterdir())


def test_a_matrix_without_rows_needs_no_file():
    assert new_matrix((0, 3), FLOAT, memory_bytes=0).shape == (0, 3)


def test_a_full_disk_is_said_before_anything_is_computed(tmp_path, monkeypatch):
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path))
    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with pytest.raises(RunError, match=r"no room for 24 bytes of vectors \(No space.*elmo.memory_bytes=24"):
        new_matrix((2, 3), FLOAT, memory_bytes=0)


def test_a_directory_that_cannot_be_written_is_not_called_full(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ELMO_CLI_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(RunError, match=r"cannot be written: Not a directory.*ELMO_CLI_CACHE"):
        new_matrix((2, 3), FLOAT, memory_bytes=0)
