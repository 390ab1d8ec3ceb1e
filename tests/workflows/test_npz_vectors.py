"""NumPy archives, read back with NumPy alone."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from workflows.vector_rows import SENTENCES, interrupted_after, layout_of, rows_of

from elmo_cli.workflows.npz_vectors import npz_vectors


@pytest.mark.parametrize("shape", [(3,), (2, 3)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_pooled_vectors_are_one_array(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    layout = layout_of(shape, dtype)
    with npz_vectors(tmp_path / "a.npz", layout) as write:
        write(rows_of(layout, SENTENCES[:2]))
        write(rows_of(layout, SENTENCES[2:], first=2))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert sorted(archive.files) == ["lengths", "sentences", "vectors"]
        np.testing.assert_array_equal(archive["vectors"], rows_of(layout).vectors, strict=True)
        np.testing.assert_array_equal(archive["lengths"], np.array([5, 1, 2, 5, 1], np.int32), strict=True)
        assert tuple(bytes(archive["sentences"]).decode().splitlines()) == SENTENCES
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("shape", [(None, 3), (2, None, 3)])
def test_vectors_of_tokens_lie_one_after_another(tmp_path: Path, shape: tuple[int | None, ...]) -> None:
    layout = layout_of(shape)
    with npz_vectors(tmp_path / "a.npz", layout) as write:
        write(rows_of(layout, SENTENCES[:3]))
        write(rows_of(layout, SENTENCES[3:], first=3))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        offsets = archive["offsets"]
        assert offsets.tolist() == [0, 5, 6, 8, 13, 14]
        assert offsets.dtype == np.int64
        assert archive["vectors"].shape == (14, *layout.unit_shape)
        for number, expected in enumerate(rows_of(layout).vectors):
            found = archive["vectors"][offsets[number] : offsets[number + 1]]
            for layer in range(shape[0] or 1) if len(shape) == 3 else [...]:
                of_layer = found[:, layer] if len(shape) == 3 else found
                np.testing.assert_array_equal(of_layer, expected[layer], strict=True)


@pytest.mark.parametrize("shape", [(2, 3), (None, 3)])
def test_no_rows_make_an_empty_array(tmp_path: Path, shape: tuple[int | None, ...]) -> None:
    layout = layout_of(shape)
    with npz_vectors(tmp_path / "a.npz", layout) as write:
        write(rows_of(layout, []))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert archive["vectors"].shape == (0, *layout.unit_shape)
        assert archive["lengths"].shape == (0,)
        assert not layout.by_token or archive["offsets"].tolist() == [0]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    layout, target = layout_of((3,)), tmp_path / "a.npz"
    target.write_bytes(b"before")
    with pytest.raises(KeyboardInterrupt):
        interrupted_after(rows_of(layout), npz_vectors(target, layout))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert target.read_bytes() == b"before"
