"""Where a large matrix is kept: in memory, or in a file when it is larger than it may be there."""

import logging
import math
import os
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.byte_counts import format_bytes
from elmo_cli.errors import RunError
from elmo_cli.files import NO_ROOM, cache_directory

logger = logging.getLogger(__name__)


def new_matrix(
    shape: tuple[int, ...], dtype: np.dtype[Any], *, memory_bytes: int | None = None
) -> NDArray[Any]:
    """Makes a matrix of zeros to be filled in.

    Args:
        shape: Its shape; no dimension needs to be above 0.
        dtype: Its type.
        memory_bytes: Most bytes to take in memory. A larger matrix is mapped from a file in the cache
            directory, which nobody else sees and which disappears with the matrix or the process. None
            always takes memory.

    Returns:
        The matrix. A part that stays zero takes no memory as long as nobody writes there.

    Raises:
        RunError: When the disk has no room for the file.
    """
    num_bytes = math.prod(shape) * dtype.itemsize
    if memory_bytes is None or num_bytes <= memory_bytes:
        return np.zeros(shape, dtype)
    directory = cache_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as file:
            # The room is taken now: a disk that is full later would kill the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, num_bytes)
            matrix = np.memmap(file, dtype, "r+", shape=shape)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise RunError(
                f"{directory} cannot be written: {error.strerror}. Set ELMO_CLI_CACHE to another directory, "
                f"or allow more memory with --set elmo.memory_bytes={num_bytes}"
            ) from error
        raise RunError(
            f"{directory} has no room for {format_bytes(num_bytes)} of vectors ({error.strerror}). Set "
            "ELMO_CLI_CACHE to a directory on a larger disk, or allow more memory with "
            f"--set elmo.memory_bytes={num_bytes}"
        ) from error
    logger.info("%s of vectors are in a file, not in memory", format_bytes(num_bytes))
    return matrix
