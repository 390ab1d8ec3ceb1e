"""Runs `torch_bilm` in a Python that has PyTorch, so that TensorFlow's environment needs none."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def encode_with_torch(
    python: str, weights: Path, batches: Sequence[Sequence[str]], precision: str
) -> tuple[float, NDArray[np.float32]]:
    """Encodes batches in a process of its own.

    Args:
        python: The interpreter, with torch, numpy and h5py.
        weights: The directory with options.json and weights.hdf5.
        batches: Space-joined sentences.
        precision: ``float32`` or ``bfloat16``.

    Returns:
        Seconds spent on encoding, without start-up and loading; the vectors, (N, L, 2P).
    """
    with tempfile.TemporaryDirectory() as place:
        request, answer = Path(place) / "batches.json", Path(place) / "vectors.npz"
        request.write_text(json.dumps(batches))
        script = Path(__file__).with_name("torch_bilm.py")
        files = ["--weights", weights, "--batches", request, "--output", answer]
        subprocess.run([python, script, *files, "--precision", precision], check=True)
        with np.load(answer) as result:
            return float(result["seconds"]), result["vectors"]
