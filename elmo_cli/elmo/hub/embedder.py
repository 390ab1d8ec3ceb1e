"""TensorFlow Hub modules behind the contract; the only place that knows tensorflow_hub."""

import logging
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from elmo_cli.counts import counted
from elmo_cli.elmo.embedder import Embedder
from elmo_cli.elmo.hub.reference_variables import has_reference_variables, lift_variables
from elmo_cli.elmo.hub.signatures import choose_reading, split
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import SourceError

logger = logging.getLogger(__name__)

# Several scripts and kinds of words, so that a module of any language knows some of them.
PROBE = (
    "The cat sat on the mat .",
    "A dog ran to the bank of the river in 1999 !",
    "Der Hund ist ein Tier und das ist gut , oder ?",
    "La maison de la mère est en el centro de la ciudad .",
    "今天 天气 很 好 。",
    "Это очень хорошая книга .",
)


@keras.saving.register_keras_serializable("elmo_cli")
class HubEmbedder(Embedder):
    """Runs a TensorFlow Hub module, of the TF1-Hub format or a TF2 SavedModel, through its own graph.

    It is for those modules that our own network cannot compute, and to find out which ones it can; see
    `elmo.hub.native`.

    It looks for these, in this order of preference:

    - signature ``tokens`` of the published google/elmo: three layers, the context-free ``word_emb`` doubled
      to the width of the other two, ``lstm_outputs1`` and ``lstm_outputs2``;
    - a signature from strings to those outputs, or to ``elmo`` alone (one layer);
    - a signature or a function from strings to one vector each: one layer, one place (T = 1).

    The module is frozen: nothing of it is trained and no gradient passes through it, for the control flow
    of TensorFlow 1 has none. Its state starts anew with every call.

    Args:
        source: A source of kind ``hub``.
        **kwargs: Those of `keras.layers.Layer`.

    Call arguments:
        sentences: Space-joined sentences, tf.string (B,).

    Returns:
        layers: float32 (B, L, T, D). ``mask``: bool (B, T). See `Embedder`.

    Raises:
        SourceError: When the module cannot be loaded, has no supported signature, or its variables and
            tables turn out not to be initialised.

    Reference:
        https://tfhub.dev/google/elmo/3 for names and shapes; layer 0 doubled as in ``dump_bilm_embeddings``
        and ``BidirectionalLanguageModel`` of allenai/bilm-tf.
    """

    def __init__(self, *, source: ElmoSource, **kwargs: Any) -> None:
        super().__init__(source=source, **kwargs)
        self._module = _load(source)
        self._reading = choose_reading(self._module, source.handle)
        self.token_level = self._reading.token_level
        self._embed = tf.function(self._embed_in_graph, input_signature=[tf.TensorSpec([None], tf.string)])
        self.num_variables, self.num_parameters = _count_variables(source)
        self.num_layers, self.dim = self._verify()
        logger.debug(
            "%s: initialised and frozen are %s with %s; %s of width %d",
            source.handle,
            counted(self.num_variables, "variable"),
            counted(self.num_parameters, "parameter", form=","),
            counted(self.num_layers, "layer"),
            self.dim,
        )

    def call(self, sentences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the class."""
        layers, mask = self._embed(sentences)
        # The module's graph may not know its width; those who build on this must.
        return tf.ensure_shape(layers, [None, self.num_layers, None, self.dim]), mask

    @property
    def resources(self) -> tuple[Any, ...]:
        """The module, which holds its tables."""
        return (self._module,)

    def normalised(self, directory: Path) -> "HubEmbedder":
        """Returns the same module in the format of TensorFlow 2, which can become part of another graph.

        Variables and tables of the TF1-Hub format are initialised by operations that a graph built around
        the module would not run.

        Args:
            directory: Where the module is written; it must stay until the new graph is written.

        Raises:
            TableError: When the module has reference variables and lookup tables.
            SourceError: When the module does not work as before.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if has_reference_variables(self.source.path):
                lift_variables(self.source.path, directory)
            else:
                tf.saved_model.save(self._module, str(directory), signatures=dict(self._module.signatures))
        return HubEmbedder(source=replace(self.source, path=directory))

    def _embed_in_graph(self, sentences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The layers and the mask, in the graph; gradients are stopped here, inside of the function."""
        outputs = self._reading.run(sentences)
        values = [tf.cast(outputs[name], tf.float32) for name in self._reading.names]
        if not self.token_level:
            layers = tf.stack(values, axis=1)[:, :, tf.newaxis]  # (B, L, 1, D)
            return tf.stop_gradient(layers), tf.ones([tf.shape(layers)[0], 1], tf.bool)
        if values[0].shape[-1] != values[-1].shape[-1]:
            values[0] = tf.concat([values[0], values[0]], axis=-1)  # (B, T, D), as wide as the others
        layers = tf.stack(values, axis=1)
        mask = tf.sequence_mask(split(sentences)[1], tf.shape(layers)[2])
        # What a module leaves in the padding (it may be anything) is not passed on.
        layers = tf.where(mask[:, tf.newaxis, :, tf.newaxis], layers, tf.zeros_like(layers))
        return tf.stop_gradient(layers), mask

    def _verify(self) -> tuple[int, int]:
        """Embeds the probe; returns (num_layers, dim), or raises SourceError for a module without sense."""
        name = self.source.handle
        try:
            layers, mask = (value.numpy() for value in self._embed(tf.constant(PROBE)))
        except (tf.errors.OpError, ValueError, TypeError) as error:
            raise SourceError(
                f"ELMo {name}: the module fails on a plain sentence; its variables or tables may not be "
                f"initialised, or its files damaged. TensorFlow says: {_reason(error)}"
            ) from error
        vectors = np.swapaxes(layers, 1, 2)[mask]  # (tokens, L, D)
        if not np.isfinite(vectors).all():
            raise SourceError(f"ELMo {name}: the module gives vectors that are not finite; it is damaged.")
        if (vectors == vectors[:1]).all(axis=(0, 2)).any():
            raise SourceError(
                f"ELMo {name}: a layer of the module is the same for every text; its variables are not "
                f"initialised, or it is not a module for text."
            )
        return layers.shape[1], layers.shape[3]


def _load(source: ElmoSource) -> Any:
    """The loaded module; its variables and tables are initialised by the loading."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pkg_resources and tf_keras, at import
        try:
            import tensorflow_hub as hub
        except ImportError as error:
            raise SourceError(
                f"ELMo {source.handle}: TensorFlow Hub cannot be imported ({error}). "
                f"Run: pip install tensorflow-hub==0.16.1 'setuptools<82'"
            ) from error
    try:
        return hub.load(str(source.path))
    except Exception as error:  # TensorFlow raises nearly every type for a damaged file
        raise SourceError(
            f"ELMo {source.handle}: the module in {source.path} cannot be loaded; it is damaged, incomplete "
            f"or of a newer format. Download it again. TensorFlow says: {_reason(error)}"
        ) from error


def _count_variables(source: ElmoSource) -> tuple[int, int]:
    """Number of variables in the module's checkpoint and of numbers in them; verifies they are finite.

    The checkpoint is asked, not the loaded module: that has no list of reference variables, which the
    modules of TensorFlow 1 often hold.
    """
    if not (source.path / "variables" / "variables.index").is_file():
        return 0, 0
    reader = tf.train.load_checkpoint(str(source.path / "variables" / "variables"))
    dtypes = reader.get_variable_to_dtype_map()
    shapes = {
        name: shape for name, shape in reader.get_variable_to_shape_map().items() if dtypes[name] != tf.string
    }
    for name in shapes:
        if dtypes[name].is_floating and not np.isfinite(reader.get_tensor(name).astype(np.float32)).all():
            raise SourceError(
                f"ELMo {source.handle}: variable {name} holds numbers that are not finite; "
                f"the module is damaged."
            )
    return len(shapes), sum(int(np.prod(shape)) for shape in shapes.values())


def _reason(error: BaseException) -> str:
    """The line of a long message of TensorFlow that says what happened."""
    lines = [line.strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line and not line.startswith("[[")] or [type(error).__name__]
    return (lines[-1] if lines[0].startswith("Graph execution error") else lines[0])[:300]
