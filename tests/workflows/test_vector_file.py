"""Which file is written, told from its ending."""

import os
from pathlib import Path

import pytest

from elmo_cli.errors import ConfigError
from elmo_cli.workflows.vector_file import kind_of_file


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.npz", "npz"),
        ("a.b.HDF5", "hdf5"),
        ("a.h5", "hdf5"),
        ("a.hdf", "hdf5"),
        ("a.parquet", "parquet"),
        ("a.pq", "parquet"),
    ],
)
def test_the_ending_tells_the_kind(tmp_path: Path, name: str, kind: str) -> None:
    assert kind_of_file(tmp_path / name) == kind
    assert kind_of_file(tmp_path / name, "npz") == "npz"


@pytest.mark.parametrize("name", ["a.csv", "a", "-", "npz"])
def test_another_ending_needs_a_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"--format npz\|hdf5\|parquet"):
        kind_of_file(tmp_path / name)
    assert kind_of_file(tmp_path / name, "hdf5") == "hdf5"


def test_directories_and_devices_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        kind_of_file(tmp_path, "npz")
    with pytest.raises(ConfigError, match="is a device or a pipe"):
        kind_of_file(Path(os.devnull), "npz")
