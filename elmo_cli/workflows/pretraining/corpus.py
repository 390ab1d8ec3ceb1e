"""The text of a pre-training: what is trained on, what is held out, and the words that are predicted."""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from elmo_cli import files
from elmo_cli.bilm.corpus import count_words, pieces, read_sentences
from elmo_cli.bilm.held_out import HeldOut, hold_out
from elmo_cli.bilm.vocabulary import Vocabulary, read_vocabulary
from elmo_cli.counts import counted
from elmo_cli.errors import DataError, RunError
from elmo_cli.workflows.pretraining.config import PretrainConfig
from elmo_cli.workflows.pretraining.text import TextFile, check_apart, open_texts, read_once

logger = logging.getLogger(__name__)

_VOCABULARY = "vocab.txt"


@dataclass(frozen=True)
class PretrainCorpus:
    """What a pre-training reads.

    Args:
        texts: What is trained on.
        file_tokens: Number of tokens in each of them, what is held out included.
        vocabulary: The words that are predicted.
        held_out: Which sentences of the texts training does not see.
        measured: Sentences to measure perplexity on.
        measured_on: What the model card calls them.
    """

    texts: tuple[TextFile, ...]
    file_tokens: tuple[int, ...]
    vocabulary: Vocabulary
    held_out: HeldOut
    measured: Sequence[Sequence[str]]
    measured_on: str

    @property
    def paths(self) -> list[Path]:
        """The files with the sentences."""
        return [text.path for text in self.texts]

    @property
    def measured_sha256(self) -> str:
        """SHA-256 of the sentences to measure on, in hexadecimal digits."""
        digest = hashlib.sha256()
        for tokens in self.measured:
            digest.update(f"{' '.join(tokens)}\n".encode())
        return digest.hexdigest()

    @classmethod
    def begin(
        cls, config: PretrainConfig, directory: Path, *, cased: bool = False
    ) -> tuple[Self, Counter[str]]:
        """Reads everything once.

        Args:
            config: What to read.
            directory: Where vocabulary and tokenised text are kept for as long as training may go on.
            cased: Whether words keep their case where neither the configuration nor a list says so.

        Returns:
            The text, and how often each word stands in the part that is trained on.

        Raises:
            ConfigError: If standard input is to be read twice.
            DataError: If a text or the list of words cannot be read, or is empty, or a text is both trained
                and measured on; see `open_texts`.
            RunError: If the directory cannot be written.
        """
        # Mistakes in what is small are said before a large text is read.
        listed = None if config.vocabulary is None else read_vocabulary(config.vocabulary, cased=config.cased)
        given, measured_on = _given_held_out(config, directory, resume=False)
        texts = tuple(open_texts(config.corpus, config, directory, "text", resume=False))
        logger.info("Counting the words of %s.", counted(len(texts), "file"))
        paths = [text.path for text in texts]
        counts, file_tokens = count_words(paths)
        if not counts:
            raise DataError("The corpus is empty: no file holds a token.")
        held_out, sentences = (HeldOut(), given) if given else hold_out(paths, sum(file_tokens))
        if not given:
            for tokens in sentences:
                counts.subtract(tokens)
            counts = +counts  # without the words that are left nowhere
            logger.info(
                "Held out to measure perplexity on: %s, one in about %d.",
                counted(len(sentences), "sentence"),
                held_out.one_in,
            )
        if listed is not None:
            vocabulary = listed.sorted_by(counts)
        else:
            cased = cased if config.cased is None else config.cased
            vocabulary = Vocabulary.build(counts, config.vocabulary_size, cased=cased)
        files.write_text(directory / _VOCABULARY, vocabulary.to_text())
        measured = _cut(sentences, config)
        return cls(texts, file_tokens, vocabulary, held_out, measured, measured_on), counts

    @classmethod
    def again(
        cls,
        config: PretrainConfig,
        directory: Path,
        texts: tuple[TextFile, ...],
        *,
        file_tokens: tuple[int, ...],
        held_out: HeldOut,
        cased: bool,
    ) -> Self:
        """Reads it in the process that goes on with a training.

        Args:
            config: What to read.
            directory: That of `begin`.
            texts: From `open_texts`.
            file_tokens: See the class.
            held_out: See the class.
            cased: Whether the words that are predicted keep their case.

        Raises:
            DataError: If a text cannot be read, or is both trained and measured on.
            RunError: If the directory lacks what `begin` wrote.
        """
        given, measured_on = _given_held_out(config, directory, resume=True)
        sentences = given or held_out.sentences([text.path for text in texts])
        if not sentences:
            raise RunError("This training held nothing out. Give a text to measure on with --held-out.")
        path = directory / _VOCABULARY
        try:
            vocabulary = Vocabulary.from_text(path.read_text(encoding="utf-8"), cased=cased)
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: cannot be read ({error}). Start anew with another -o.") from error
        return cls(texts, file_tokens, vocabulary, held_out, _cut(sentences, config), measured_on)


def _given_held_out(config: PretrainConfig, directory: Path, *, resume: bool) -> tuple[list[list[str]], str]:
    """Returns the sentences of --held-out, if it was given, and what to call what is measured on."""
    if config.held_out is None:
        return [], "sentences of the corpus, held out from training"
    check_apart(config.corpus, config.held_out)
    # What is measured may change from process to process, but what can be read only once was read.
    resume = resume and read_once(config.held_out)
    texts = open_texts([config.held_out], config, directory, "held-out", resume=resume)
    sentences = [tokens for text in texts for tokens in read_sentences(text.path)]
    if not sentences:
        raise DataError(f"{config.held_out} holds no token to measure perplexity on.")
    return sentences, ", ".join(text.name for text in texts)


def _cut(sentences: Sequence[list[str]], config: PretrainConfig) -> list[list[str]]:
    return [piece for tokens in sentences for piece in pieces(tokens, config.max_sentence_tokens)]
