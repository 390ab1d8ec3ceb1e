"""A TF-IDF part on disk: arrays and text in one .npz file, no pickle."""

import zipfile
from pathlib import Path

import numpy as np

from elmo_cli.classifier.tfidf_part import TfidfPart
from elmo_cli.errors import RunError
from elmo_cli.files import atomic_write
from elmo_cli.text.tfidf import Tfidf


def write_tfidf(part: TfidfPart, path: Path) -> None:
    """Writes a part; raises RunError when the file cannot be written."""
    with atomic_write(path, "wb") as file:
        np.savez_compressed(
            file,
            # One n-gram a line: tokens hold no line feed.
            vocabulary=np.frombuffer("\n".join(part.tfidf.vocabulary).encode(), np.uint8),
            idf=part.tfidf.idf,
            kernel=part.kernel,
            bias=part.bias,
            strength=np.float64(part.strength),
            shares=np.array([part.elmo_share, part.tfidf_share]),
        )


def read_tfidf(path: Path) -> TfidfPart:
    """Reads back what `write_tfidf` wrote; raises RunError when the file is missing or damaged."""
    try:
        # Opened here, because np.load leaves a damaged file open.
        with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
            text = file["vocabulary"].tobytes().decode()
            part = TfidfPart(
                tfidf=Tfidf(tuple(text.split("\n")) if text else (), file["idf"]),
                kernel=file["kernel"],
                bias=file["bias"],
                strength=float(file["strength"]),
                elmo_share=float(file["shares"][0]),
                tfidf_share=float(file["shares"][1]),
            )
    except (OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} cannot be read ({error}). Train it again.") from error
    if part.kernel.shape != (len(part.tfidf.vocabulary), len(part.bias)):
        raise RunError(f"{path} is damaged: its arrays do not fit together. Train it again.")
    return part
