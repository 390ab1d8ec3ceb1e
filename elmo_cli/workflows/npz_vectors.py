"""Vectors to a NumPy archive that loads without pickle."""

import contextlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.files import CHUNK_BYTES, atomic_path
from elmo_cli.workflows.vector_file import EmbeddedRows, VectorLayout, Write


@contextlib.contextmanager
def npz_vectors(target: Path, layout: VectorLayout) -> Iterator[Write]:
    """Writes ``vectors``, ``lengths`` and ``sentences``, in memory that does not grow with the rows.

    Args:
        target: The file; it appears when the block ends well, and not at all otherwise.
        layout: What each row becomes.

    Yields:
        What writes rows. Of N rows the archive has ``vectors`` (N, P) or (N, layers, P); or those of all
        tokens one after another, (tokens, D) or (tokens, layers, D), and ``offsets``, int64 (N + 1,), that
        say where each row begins. ``lengths``, int32 (N,), are the tokens of each row, ``sentences``,
        uint8, the texts as they were embedded in UTF-8, one a line.

    Raises:
        RunError: When the file cannot be written or the disk is full.
    """
    with contextlib.ExitStack() as stack:
        path = stack.enter_context(atomic_path(target))
        archive = stack.enter_context(zipfile.ZipFile(path, "w"))

        def growing(dtype: Any, unit_shape: tuple[int, ...] = ()) -> _GrowingArray:
            file = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
            return _GrowingArray(file, np.dtype(dtype), unit_shape)

        vectors = growing(layout.dtype, layout.unit_shape)
        lengths, offsets, sentences = growing(np.int32), growing(np.int64), growing(np.uint8)
        offsets.append(np.zeros(1, np.int64))

        def write(rows: EmbeddedRows) -> None:
            if layout.by_token:
                offsets.append(vectors.length + np.cumsum(rows.sentences.lengths, dtype=np.int64))
                for tokens in rows.vectors:
                    # The token first, for that is the axis which grows: (T, D) or (T, layers, D)
                    vectors.append(np.moveaxis(tokens, -2, 0))
            else:
                vectors.append(np.asarray(rows.vectors))
            lengths.append(rows.sentences.lengths)
            lines = "".join(f"{text}\n" for text in rows.sentences.texts)
            sentences.append(np.frombuffer(lines.encode(), np.uint8))

        yield write
        vectors.store(archive, "vectors")
        if layout.by_token:
            offsets.store(archive, "offsets")
        lengths.store(archive, "lengths")
        sentences.store(archive, "sentences")


class _GrowingArray:
    """An array in a file, until its length is known.

    Args:
        file: An empty file, open for reading and writing.
        dtype: Type of its numbers.
        unit_shape: Shape of what is added along its first axis.
    """

    def __init__(self, file: IO[bytes], dtype: np.dtype[Any], unit_shape: tuple[int, ...]) -> None:
        self.file = file
        self.dtype = dtype
        self.unit_shape = unit_shape
        self.length = 0

    def append(self, values: NDArray[Any]) -> None:
        """Adds values (n, *unit_shape)."""
        self.file.write(np.ascontiguousarray(values, self.dtype).data)
        self.length += len(values)

    def store(self, archive: zipfile.ZipFile, name: str) -> None:
        """Copies it into the archive, under the header that says how long it has become."""
        header = {
            "descr": np.lib.format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.length, *self.unit_shape),
        }
        self.file.seek(0)
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            shutil.copyfileobj(self.file, member, CHUNK_BYTES)
