"""HDF5 in AllenNLP's layout, read back with h5py alone."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from workflows.vector_rows import SENTENCES, interrupted_after, layout_of, rows_of

from elmo_cli.errors import RunError
from elmo_cli.workflows import hdf5_vectors as module
from elmo_cli.workflows.hdf5_vectors import hdf5_vectors


@pytest.mark.parametrize("shape", [(3,), (2, 3), (None, 3), (2, None, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_each_row_is_a_data_set(tmp_path: Path, shape: tuple[int | None, ...], dtype: str) -> None:
    layout = layout_of(shape, dtype)
    with hdf5_vectors(tmp_path / "a.h5", layout) as write:
        write(rows_of(layout, SENTENCES[:2]))
        write(rows_of(layout, SENTENCES[2:], first=2))
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == {"0", "1", "2", "3", "4", "sentence_to_index"}
        for number, expected in enumerate(rows_of(layout).vectors):
            np.testing.assert_array_equal(file[str(number)][...], expected, strict=True)
        # As AllenNLP wrote it: an array of one string; of equal sentences the last one counts.
        index = file["sentence_to_index"]
        assert index.shape == (1,)
        assert json.loads(index[0]) == {SENTENCES[0]: "3", "": "1", "ünï code": "2", "x": "4"}


def test_no_rows_make_an_empty_index(tmp_path: Path) -> None:
    layout = layout_of((3,))
    with hdf5_vectors(tmp_path / "a.h5", layout) as write:
        write(rows_of(layout, []))
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file) == ["sentence_to_index"]
        assert json.loads(file["sentence_to_index"][0]) == {}


def test_an_index_that_takes_too_much_memory_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MAX_INDEX_CHARACTERS", 20)
    layout = layout_of((3,))
    with hdf5_vectors(tmp_path / "a.h5", layout) as write:
        for first in range(0, 5):
            write(rows_of(layout, SENTENCES[first : first + 1], first=first))
    with h5py.File(tmp_path / "a.h5") as file:
        assert set(file) == set("01234")
    assert caplog.text.count("sentence_to_index is left out") == 1


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    layout, target = layout_of((3,)), tmp_path / "a.h5"
    target.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        interrupted_after(rows_of(layout), hdf5_vectors(target, layout))
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert target.read_bytes() == b"before"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("can't close")])
def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: object, **__: object) -> Any:
        raise error

    layout, target = layout_of((3,)), tmp_path / "a.h5"
    monkeypatch.setattr(h5py.File, "create_dataset", full)
    with pytest.raises(RunError, match=r"a\.h5 cannot be written"), hdf5_vectors(target, layout) as write:
        write(rows_of(layout))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room cannot be taken here")
def test_room_is_taken_before_and_given_back_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = layout_of((None, 3))
    for name in ("taken.h5", "plain.h5"):
        if name == "plain.h5":
            monkeypatch.delattr(os, "posix_fallocate")
        with hdf5_vectors(tmp_path / name, layout) as write:
            for first in range(0, 2000, 5):
                write(rows_of(layout, first=first))
    assert (tmp_path / "taken.h5").read_bytes() == (tmp_path / "plain.h5").read_bytes()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room cannot be taken here")
def test_a_disk_that_fills_up_is_said_before_hdf5_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = (1 << 20) + 20_000

    def small_disk(descriptor: int, start: int, num_bytes: int) -> None:
        if start + num_bytes > limit:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.truncate(descriptor, start + num_bytes)

    def write_until_full() -> None:
        with hdf5_vectors(target, layout) as write:
            for first in range(0, 2000, 5):
                write(rows_of(layout, first=first))

    layout, target = layout_of((None, 3)), tmp_path / "a.h5"
    monkeypatch.setattr(os, "posix_fallocate", small_disk)
    with pytest.raises(RunError, match=r"a\.h5 cannot be written: .*No space left"):
        write_until_full()
    assert list(tmp_path.iterdir()) == []
