"""The ELMo that a pre-training begins with: its network, and a softmax for it."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.bilm.batches import CorpusBatches
from elmo_cli.bilm.first_softmax import SCALES, FirstSoftmax
from elmo_cli.bilm.language_model import LanguageModel
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.sizes import options_of_size
from elmo_cli.bilm.softmax import FILE_NAME, Softmax
from elmo_cli.bilm.weights import read_weights
from elmo_cli.elmo.hub.native import native_source
from elmo_cli.elmo.source import ElmoSource, resolve
from elmo_cli.errors import ConfigError
from elmo_cli.workflows.pretraining.config import PretrainConfig
from elmo_cli.workflows.pretraining.model import PretrainModel

logger = logging.getLogger(__name__)

_DEFAULT_SIZE = "mini"
# Of the text that is looked at for a first softmax: so many tokens, and no more than a share of the budget.
_LOOK_TOKENS = 200_000
_LOOK_SHARE = 0.05
_CHOICE_TOKENS = 5_000  # of the held-out text, to choose the best one by


@dataclass(frozen=True)
class InitialElmo:
    """A native ELMo to begin with.

    Args:
        source: Where it is.
        options: Its shape.
        softmax: What predicts words from its states, where that was kept.
    """

    source: ElmoSource
    options: BiLMOptions
    softmax: Softmax | None

    @classmethod
    def find(cls, handle: str) -> "InitialElmo":
        """Finds the files of a handle; see `elmo.source.resolve`.

        Raises:
            SourceError: If it is not available, or damaged.
            ConfigError: If our network cannot compute it, or it reads no sentence marks.
        """
        source = native_source(resolve(handle))
        if source is None or source.options_path is None or source.weights_path is None:
            raise ConfigError(
                f"{handle}: a TensorFlow Hub module cannot be gone on with. Give a native ELMo: "
                "bundled, or options.json with HDF5 weights."
            )
        options = BiLMOptions.from_json(source.options_path)
        if not options.sentence_marks:
            raise ConfigError(
                f"{handle}: this ELMo reads no marks of a sentence's begin and end, so that there is "
                "no first word to predict, and it cannot be gone on with. Give another one, such as bundled."
            )
        kept = source.weights_path.with_name(FILE_NAME)
        softmax = Softmax.read(kept, options.lstm.projection_dim) if kept.is_file() else None
        return cls(source, options, softmax)

    @property
    def cased(self) -> bool:
        """Whether the softmax that was kept tells capital letters apart."""
        return self.softmax is not None and self.softmax.vocabulary.cased

    def read_network(self, model: PretrainModel) -> None:
        """Gives its weights to a model; raises SourceError if they cannot be read."""
        if self.source.weights_path is not None:
            read_weights(model.bilm, self.source.weights_path)

    def begin(self, model: PretrainModel, counts: Counter[str]) -> None:
        """Gives a model its weights and a first softmax.

        One is made from a look at the text. One that was kept is taken where it predicts the held-out text
        better, new words included. Either is trained on afterwards.

        Args:
            model: Has the options of this ELMo.
            counts: How often each word stands in the text.
        """
        self.read_network(model)
        vocabulary = model.corpus.vocabulary
        logger.info("Looking at the text for a first softmax.")
        first = FirstSoftmax.of(_states_and_words(model), len(vocabulary))
        candidates = [Softmax(vocabulary, *first.scaled(scale)) for scale in SCALES]
        if self.softmax is not None and self.softmax.vocabulary.cased == vocabulary.cased:
            candidates.append(self.softmax.for_words(vocabulary, counts))
        nats = []
        for candidate in candidates:
            candidate.assign_to(model.language_model)
            nats.append(model.perplexity(_CHOICE_TOKENS).nats)
        best = int(np.nanargmin(nats))
        candidates[best].assign_to(model.language_model)
        made = f"made in this way, scale {SCALES[best]:g}" if best < len(SCALES) else "the one that was kept"
        logger.info("The best first softmax is %s.", made)


def options_of(config: PretrainConfig, initial: InitialElmo | None) -> BiLMOptions:
    """Returns the shape of the network to train.

    Raises:
        ConfigError: If there is no such size, it is one without marks of a sentence's begin and end, or it is
            not that of the ELMo to begin with.
        SourceError: If a file was given that is no options.json.
    """
    if initial is None:
        options = options_of_size(config.size or _DEFAULT_SIZE)
        if not options.sentence_marks:
            raise ConfigError(
                f"--size {config.size}: a network of this shape reads no marks of a sentence's begin and "
                'end, which training predicts. Take "sentence_marks": false out of it.'
            )
        return options
    if config.size is not None and options_of_size(config.size) != initial.options:
        raise ConfigError(
            f"--size {config.size} is not the size of --init {config.init}. Leave out --size: a network that "
            "is gone on with keeps its size."
        )
    return initial.options


def _states_and_words(model: PretrainModel) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    """Yields the top states of both directions over a part of the text, and the words they predict."""
    config, states = model.config, _states(model.language_model)
    batches = CorpusBatches(
        model.corpus.paths,
        batch_tokens=config.batch_tokens,
        max_tokens=config.max_sentence_tokens,
        lower_share=config.lower_share,
        seed=config.seed,
        read=model.corpus.held_out.training_sentences,
    )
    most_tokens = min(_LOOK_TOKENS, _LOOK_SHARE * config.max_tokens if config.max_tokens else _LOOK_TOKENS)
    deadline = time.monotonic() + 60 * _LOOK_SHARE * config.minutes if config.minutes else np.inf
    num_tokens = 0
    while not batches.place.passes and num_tokens <= most_tokens and time.monotonic() < deadline:
        batch = model.batch(batches.next())
        targets = batch["targets"].T
        words = np.concatenate([targets[1:], targets[:-1]]).ravel()
        yield np.asarray(states(batch["character_ids"], batch["index"])), words
        num_tokens += len(words) // 2


def _states(language_model: LanguageModel) -> Callable[..., Any]:
    """Returns a compiled function from characters (M, W) and index (B, T + 2) to states (2 (T + 1) B, P).

    All states that look to the next word stand first, then those that look to the one before; time first.
    """

    def states(character_ids: Any, index: Any) -> Any:
        lengths = keras.ops.zeros_like(index[:, 0]) + keras.ops.shape(index)[1] - 2
        directions = language_model.bilm.read(character_ids, index, lengths)
        both = keras.ops.concatenate([directions.forward[-1][:-1], directions.backward[-1][1:]])
        width = language_model.bilm.options.lstm.projection_dim
        return keras.ops.cast(keras.ops.reshape(both, (-1, width)), "float32")

    ids = tf.TensorSpec([None, None], tf.int32)
    return tf.function(states, input_signature=[ids, ids])  # type: ignore[no-any-return]
