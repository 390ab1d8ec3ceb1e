"""The contract between a source of embeddings and everything that uses them."""

import functools
from collections.abc import Callable
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from elmo_cli.config import PrecisionSetting
from elmo_cli.elmo.precision import Precision, choose_precision
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import ConfigError

Reader = Callable[[NDArray[np.int64]], tuple[tf.Tensor, tf.Tensor]]


class Embedder(keras.layers.Layer):
    """Turns sentences into the layers of a frozen network.

    A sentence is its tokens joined by single spaces; an empty sentence counts as one empty token. The
    vectors of a sentence depend on nothing but the sentence: not on batch size, batch mates, order or
    padding. Whatever stands in ``layers`` where ``mask`` is false has no meaning and must not be used.

    Subclasses set the attributes below in ``__init__`` and implement `call`; a layer that is frozen gives
    no gradients. Strings cannot be compiled by XLA, hence ``supports_jit`` is False.

    Attributes:
        source: Where the weights come from.
        num_layers: L, the number of layers (3 for ELMo; 1 for a plain text-embedding module).
        dim: D, the width of every layer.
        token_level: Whether there is a vector for each token; otherwise T is 1 and the one vector stands
            for the whole sentence.
        num_variables: Number of variables read from the source, all of them frozen.
        num_parameters: Number of numbers in them.
        precision: Of the products inside; what comes out is float32 in any case.
        token_bytes: About how much memory the embedding of one token takes, for a sensible size of batches.
        full_rows: Batches of a multiple of so many rows are quickest, where there are that many.

    Call arguments:
        sentences: Space-joined sentences, tf.string of shape (B,), B at least 1.

    Returns:
        layers: float32 (B, L, T, D), where T is the number of tokens of the longest sentence.
        mask: bool (B, T), true for tokens.
    """

    source: ElmoSource
    num_layers: int
    dim: int
    token_level: bool
    num_variables: int
    num_parameters: int
    precision: Precision = "float32"
    token_bytes: int = 1 << 18  # 1,024 filters over 50 characters, as the graph of google/elmo computes them
    full_rows: int = 1

    def __init__(self, *, source: ElmoSource, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        self.source = source
        self.supports_jit = False
        self._graph: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]] | None = None

    @classmethod
    def from_source(cls, source: ElmoSource) -> Self:
        """Builds the embedder and reads its weights; raises SourceError when they cannot be used."""
        return cls(source=source)

    def call(self, sentences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the class."""
        raise NotImplementedError(f"{type(self).__name__} has no call")

    @property
    def resources(self) -> tuple[Any, ...]:
        """What a graph around the embedder needs beside variables, such as lookup tables."""
        return ()

    def reader(self, texts: NDArray[np.object_]) -> Reader:
        """Prepares to embed many sentences that are known in advance, batch by batch.

        Args:
            texts: Space-joined sentences, str (N,), best distinct.

        Returns:
            A function from the numbers of some of them, int64 (B,), to what `call` gives for these. It is
            what an embedder can do fastest; it gives no gradients.
        """
        if self._graph is None:
            # The number of rows is left open, so that one trace serves every batch.
            self._graph = tf.function(
                self.__call__, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False
            )
        graph = self._graph
        return lambda rows: graph(tf.constant(texts[rows], tf.string))

    def get_config(self) -> dict[str, Any]:
        """Returns the name and where the weights come from; the weights themselves are not part of it."""
        return {"name": self.name, "source": self.source.to_json()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the embedder from `get_config`, reading the weights from the same place again."""
        return cls(**{**config, "source": ElmoSource.from_json(config["source"])})


def load_embedder(source: ElmoSource, precision: PrecisionSetting = "float32") -> Embedder:
    """Reads the weights of a source into the embedder that fits it, our own network where it can be.

    Args:
        source: From `elmo_cli.elmo.source.resolve`.
        precision: Of the products; see `choose_precision`. A Hub module that our network cannot compute
            (see `native_source`) computes as it was made.

    Returns:
        The embedder, its weights read and verified.

    Raises:
        SourceError: When the weights are damaged or of an unknown kind.
        ConfigError: When bfloat16 is asked of a Hub module that our network cannot compute.
    """
    from elmo_cli.elmo.hub.native import load_module, native_source

    module = functools.cache(lambda: load_module(source))
    native = native_source(source, load=module)
    if native is None:
        if precision == "bfloat16":
            raise ConfigError(
                f"--precision bfloat16: the module {source.handle} computes in the precision it was made in. "
                "Use --precision auto."
            )
        return module()
    from elmo_cli.elmo.bilm_embedder import BiLMEmbedder

    return BiLMEmbedder(source=native, precision=choose_precision(precision))
