"""The softmax of a language model, which no ELMo file holds, in a file beside it."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from elmo_cli.bilm.vocabulary import UNKNOWN_ID, Vocabulary
from elmo_cli.errors import SourceError
from elmo_cli.files import atomic_write

FILE_NAME = "softmax.npz"
_LEAST_SHARE = 1e-6  # of the unknown word that is left to words which no known text holds


@dataclass(frozen=True)
class Softmax:
    """What turns the top layer of either direction into probabilities of the next word.

    Args:
        vocabulary: The V words.
        kernel: float32 (V, P).
        bias: float32 (V,).
    """

    vocabulary: Vocabulary
    kernel: NDArray[np.float32]
    bias: NDArray[np.float32]

    def write(self, path: Path) -> None:
        """Writes it, the kernel in half precision.

        Raises:
            RunError: If the file cannot be written.
        """
        words = np.frombuffer(self.vocabulary.to_text().encode(), np.uint8)
        with atomic_write(path, "wb") as file:
            np.savez(
                file,
                kernel=self.kernel.astype(np.float16),
                bias=self.bias,
                words=words,
                cased=np.asarray(self.vocabulary.cased),
            )

    @classmethod
    def read(cls, path: Path, width: int) -> "Softmax":
        """Reads what `write` wrote.

        Args:
            path: The file.
            width: P of the network it belongs to.

        Raises:
            SourceError: If it cannot be read, or belongs to another network.
        """
        try:
            with open(path, "rb") as file, np.load(file) as saved:
                vocabulary = Vocabulary.from_text(
                    saved["words"].tobytes().decode(), cased=bool(saved["cased"])
                )
                kernel, bias = saved["kernel"].astype(np.float32), saved["bias"].astype(np.float32)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise SourceError(f"{path}: not a readable softmax ({error}). {_WAY_OUT}") from error
        if kernel.shape != (len(vocabulary), width) or bias.shape != (len(vocabulary),):
            raise SourceError(
                f"{path}: a softmax of {kernel.shape} was found, of {(len(vocabulary), width)} was expected. "
                f"{_WAY_OUT}"
            )
        return cls(vocabulary, kernel, bias)

    def for_words(self, vocabulary: Vocabulary, counts: Mapping[str, int]) -> "Softmax":
        """Returns a softmax over other words that begins with what this one knows.

        A word that both vocabularies have keeps its row. A new one takes its part of the unknown word's
        probability, in proportion to how often it stands in the text; what is left stays with the unknown
        word, so that nothing that was learned about the others changes.

        Args:
            vocabulary: The words, cased as those of this one.
            counts: How often each word stands in the new text; see `corpus.count_words`.
        """
        ids = {word: i for i, word in enumerate(self.vocabulary.words)}
        rows = np.array([ids.get(word, UNKNOWN_ID) for word in vocabulary.words])
        is_new = rows == UNKNOWN_ID
        is_new[UNKNOWN_ID] = False
        outside: dict[str, int] = {}
        for word, count in counts.items():
            word = word if vocabulary.cased else word.lower()
            if word not in ids:
                outside[word] = outside.get(word, 0) + count
        num_outside = max(1, sum(outside.values()))
        shares = np.array([outside.get(word, 0) / num_outside for word in vocabulary.words])
        left = 1.0 - float(shares[is_new].sum())
        shares[UNKNOWN_ID] = left
        is_new[UNKNOWN_ID] = True
        bias = self.bias[rows] + np.where(is_new, np.log(np.maximum(shares, _LEAST_SHARE)), 0.0)
        return Softmax(vocabulary, self.kernel[rows], bias.astype(np.float32))

    def assign_to(self, model: Any) -> None:
        """Gives the values to a `LanguageModel` with as many words."""
        model.softmax_kernel.assign(self.kernel)
        model.softmax_bias.assign(self.bias)


_WAY_OUT = "Remove it, and the softmax is learned anew."
