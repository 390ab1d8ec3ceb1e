"""Vectors to HDF5 in the layout of AllenNLP's command."""

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from elmo_cli.errors import RunError
from elmo_cli.files import atomic_path
from elmo_cli.text.sentences import Sentences
from elmo_cli.workflows.vector_file import EmbeddedRows, VectorLayout, Write

logger = logging.getLogger(__name__)

INDEX_NAME = "sentence_to_index"
# What a file needs at most beyond its vectors: by itself, for the header of each new data set, and for the
# list of all names when it moves to a larger place.
FILE_BYTES, HEADER_BYTES, NAME_BYTES = 1 << 20, 1 << 10, 1 << 5
MAX_INDEX_CHARACTERS = 1 << 25  # of distinct texts that are held in memory for the index


@contextlib.contextmanager
def hdf5_vectors(target: Path, layout: VectorLayout) -> Iterator[Write]:
    """Writes one data set per row, called ``0``, ``1`` …, and ``sentence_to_index``.

    Args:
        target: The file; it appears when the block ends well, and not at all otherwise.
        layout: What each row becomes: the shape of its data set.

    Yields:
        What writes rows.

    Raises:
        RunError: When the file cannot be written or the disk is full.

    Reference:
        ``ElmoEmbedder.embed_file`` in allennlp/commands/elmo.py of AllenNLP 0.9: (3, T, D) with ``--all``,
        (T, D) with ``--top`` and ``--average``.
    """
    import h5py

    index = _SentenceIndex(target)
    with atomic_path(target) as path:
        with _saying(target):
            file = h5py.File(path, "w")
        room = _Room(path)
        num_rows = 0

        def write(rows: EmbeddedRows) -> None:
            nonlocal num_rows
            with _saying(target):
                num_bytes = sum(vectors.nbytes + HEADER_BYTES for vectors in rows.vectors)
                room.take(file.id.get_filesize() + num_bytes, num_rows + len(rows.sentences))
                for number, vectors in enumerate(rows.vectors, num_rows):
                    file.create_dataset(str(number), data=vectors, dtype=layout.dtype)
            index.add(rows.sentences, num_rows)
            num_rows += len(rows.sentences)

        try:
            yield write
            with _saying(target):
                if (text := index.to_json()) is not None:
                    room.take(file.id.get_filesize() + len(text), num_rows)
                    file.create_dataset(INDEX_NAME, (1,), dtype=h5py.string_dtype())[0] = text
                file.close()
                room.give_back()
        finally:
            with contextlib.suppress(
                OSError, RuntimeError
            ):  # after a failure; it is closed already otherwise
                file.close()


class _Room:
    """Room on the disk that is taken before HDF5 writes there.

    HDF5 cannot go back when the disk is full: it complains of each data set, and crashes in the end.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.end = 0

    def take(self, num_bytes: int, num_rows: int) -> None:
        """Makes sure that the file can grow to a size.

        Args:
            num_bytes: Bytes that are there, and those to come.
            num_rows: Data sets there will be.

        Raises:
            OSError: When the disk is full, or the file may not be so large.
        """
        end = num_bytes + FILE_BYTES + NAME_BYTES * num_rows
        if end > self.end and hasattr(os, "posix_fallocate"):
            with open(self.path, "r+b") as file:
                os.posix_fallocate(file.fileno(), self.end, end - self.end)
            self.end = end

    def give_back(self) -> None:
        """Cuts off what was not needed of a file that is closed.

        Reference:
            HDF5 File Format Specification, "Superblock": version 0, which h5py writes unless told
            otherwise, has the end-of-file address at byte 40.
        """
        with open(self.path, "r+b") as file:
            superblock = file.read(48)
            if superblock[8] == 0:
                file.truncate(int.from_bytes(superblock[40:], "little"))


class _SentenceIndex:
    """Which data set belongs to a text, as long as memory allows.

    Args:
        target: The file, for the message.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.keys: dict[str, str] | None = {}
        self.num_characters = 0

    def add(self, sentences: Sentences, first: int) -> None:
        """Adds rows that follow one another, the first of which has this number."""
        if self.keys is None:
            return
        for number, text in enumerate(sentences.texts, first):
            if text not in self.keys:
                self.num_characters += len(text)
            self.keys[text] = str(number)
        if self.num_characters > MAX_INDEX_CHARACTERS:
            self.keys = None
            logger.warning(
                "%s: %s is left out, for it is made in memory and the texts have more than %d million "
                "characters. Data sets are called by the number of the row, from 0.",
                self.target,
                INDEX_NAME,
                MAX_INDEX_CHARACTERS // 10**6,
            )

    def to_json(self) -> str | None:
        """Returns an object, tokens joined by blanks → name of the data set; None if they are too many."""
        return None if self.keys is None else json.dumps(self.keys)


@contextlib.contextmanager
def _saying(target: Path) -> Iterator[None]:
    """Turns what h5py raises when it cannot write into a RunError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise RunError(
            f"{target} cannot be written: {error}. Choose another place, or make it writable."
        ) from error
