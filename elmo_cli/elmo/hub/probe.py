"""Whether a module's graph computes what our network computes from the module's variables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.bilm.characters import sentence_characters
from elmo_cli.bilm.network import BiLM
from elmo_cli.elmo.embedder import Embedder
from elmo_cli.elmo.hub.variables import ModuleWeights, NotABiLMError

MAX_ERROR = 1e-5  # relative RMS; float32 gives about 3e-7

# Every byte that stands in text: ASCII, the 64 that continue a character, and all that begin one. In words
# of one character every filter sees it.
_ASCII = [chr(number) for number in range(0x21, 0x7F)]
_CONTINUED = [chr(number) for number in range(0x80, 0xC0)]
_BEGUN = [chr(number) for number in range(0xC0, 0x800, 0x40)]
_BEGUN += [chr(number) for number in (0x800, *range(0x1000, 0xD000, 0x1000), 0xD000, 0xE000, 0xF000)]
_BEGUN += [chr(number) for number in (0x10000, 0x40000, 0x80000, 0xC0000, 0x100000)]
_CHARACTERS = _ASCII + _CONTINUED + _BEGUN
PROBE = (
    "The cat sat on the mat , and THE DOG ran to the bank of the river in 1999 !",
    "the",
    "",
    "a dog",
    "Der Hund läßt es gut sein , oder ?",
    "今天 天气 很 好 。",
    "Это очень хорошая книга .",
    "यह एक अच्छी किताब है ।",
    "هذا كتاب جيد",
    "🙂 👍🏽 don't 3.14 http://example.org/a?b=c",
    # Words of 47 to 50 bytes, a longer one, and one that is cut within a character.
    " ".join("x" * number + "y" for number in (46, 47, 48, 49)),
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft " + "чя" * 40,
    "中" * 17 + " 文",
    *(" ".join(_CHARACTERS[start : start + 16]) for start in range(0, len(_CHARACTERS), 16)),
)


@dataclass(frozen=True)
class Attempt:
    """One way to read a module's variables, and how far its vectors are from the module's own.

    Args:
        sentence_marks: Whether the marks of a sentence's begin and end are read.
        first_row: Row of the character embedding that belongs to character 0.
        errors: Relative RMS error of each layer, the token layer first.
    """

    sentence_marks: bool
    first_row: int
    errors: tuple[float, ...]

    @property
    def agrees(self) -> bool:
        """Whether every layer is the module's own."""
        return all(error <= MAX_ERROR for error in self.errors)

    def __str__(self) -> str:
        """Says all of it in a line."""
        marks = "with" if self.sentence_marks else "without"
        layers = ", ".join(f"layer {number} {error:.1e}" for number, error in enumerate(self.errors))
        return f"{marks} sentence marks, characters from row {self.first_row}: relative error of {layers}"


def try_out(weights: ModuleWeights, module: Embedder) -> tuple[BiLM | None, list[Attempt]]:
    """Tries the ways in which the graphs of published modules differ, until one gives the module's vectors.

    Args:
        weights: The module's variables.
        module: The module, running through its own graph; it has as many layers of the same width.

    Returns:
        The network that agrees with the module on the probe, or None; and all that was tried, of which the
        last one agrees if any does.

    Raises:
        NotABiLMError: When the module fails on the probe, which holds an empty text and very long words.
    """
    try:
        layers, mask = (value.numpy() for value in module(tf.constant(PROBE)))
    except tf.errors.OpError as error:
        said = error.message.partition("\n")[0]
        raise NotABiLMError(f"its own graph cannot compute the texts it is compared on ({said})") from error
    expected = np.swapaxes(layers, 1, 2)[mask]  # (tokens, L, D)
    attempts = []
    # AllenNLP's character 0 stands for nothing, and its row comes first.
    for first_row in range(weights.num_spare_rows, -1, -1):
        for sentence_marks in (True, False):
            bilm = BiLM(replace(weights.options, sentence_marks=sentence_marks), "zeros", trainable=False)
            weights.assign_to(bilm, first_row)
            found = np.swapaxes(_layers(bilm, PROBE)[:, :, : mask.shape[1]], 1, 2)  # (B, T, L, D)
            found = found[mask[:, : found.shape[1]]]  # a module may pad further than to the longest sentence
            attempts.append(Attempt(sentence_marks, first_row, _errors(found, expected)))
            if attempts[-1].agrees:
                return bilm, attempts
            if attempts[-1].errors[0] > MAX_ERROR:
                break  # marks do not reach the token layer
    return None, attempts


def _layers(bilm: BiLM, sentences: Sequence[str]) -> NDArray[np.float32]:
    """The layers of sentences, (B, L, T, D)."""
    options, cnn = bilm.options, bilm.options.char_cnn
    characters = sentence_characters(
        tf.constant(sentences),
        cnn.max_characters_per_token,
        cnn.max_filter_width,
        marks=options.sentence_marks,
    )
    return bilm(*characters).numpy()


def _errors(found: NDArray[np.float32], expected: NDArray[np.float32]) -> tuple[float, ...]:
    """Relative RMS error of each layer, of (tokens, L, D); infinite where one of them is not finite."""
    difference, size = (
        np.sqrt(np.mean(np.square(values, dtype=np.float64), axis=(0, 2)))
        for values in (found.astype(np.float64) - expected, expected)
    )
    errors = difference / np.maximum(size, np.finfo(np.float32).tiny)
    return tuple(float(error) if np.isfinite(error) else float("inf") for error in errors)
