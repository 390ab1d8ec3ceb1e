"""TensorFlow Hub modules behind the contract; the only place that knows tensorflow_hub."""

import logging
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from elmo_cli.elmo.embedder import Embedder
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import SourceError

logger = logging.getLogger(__name__)

SUPPORTED = """Supported are
  tokens (tokens: string [batch, max_len], sequence_len: int32 [batch]) -> word_emb, lstm_outputs1, ...
  any signature (string [batch]) -> elmo or another float output [batch, max_len, dim]
  any signature (string [batch]) -> a float output [batch, dim]"""

# Several scripts and kinds of words, so that a module of any language knows some of them.
PROBE = (
    "The cat sat on the mat .",
    "A dog ran to the bank of the river in 1999 !",
    "Der Hund ist ein Tier und das ist gut , oder ?",
    "La maison de la mère est en el centro de la ciudad .",
    "今天 天气 很 好 。",
    "Это очень хорошая книга .",
)

Outputs = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class _Reading:
    """How a module is called and which of its outputs are the layers.

    Args:
        run: From the output names to the outputs, for sentences tf.string (B,).
        names: Outputs that become layers, from the first to the last.
        token_level: Whether those are (B, T, width), not (B, width).
    """

    run: Callable[[tf.Tensor], Outputs]
    names: tuple[str, ...]
    token_level: bool


@keras.saving.register_keras_serializable("elmo_cli")
class HubEmbedder(Embedder):
    """Runs a TensorFlow Hub module, of the TF1-Hub format or a TF2 SavedModel, through its own graph.

    Read are, in this order of preference:

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
        self._reading = _choose(self._module, source)
        self.token_level = self._reading.token_level
        self._embed = tf.function(self._embed_in_graph, input_signature=[tf.TensorSpec([None], tf.string)])
        self.num_variables, self.num_parameters = _count_variables(source)
        self.num_layers, self.dim = self._verify()
        logger.info(
            "%s: %d variables with %s parameters are initialised and frozen; %d layers of width %d",
            *(source.handle, self.num_variables, f"{self.num_parameters:,}", self.num_layers, self.dim),
        )

    def call(self, sentences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """See the class."""
        layers, mask = self._embed(sentences)
        # The module's graph may not know its width; those who build on this must.
        return tf.ensure_shape(layers, [None, self.num_layers, None, self.dim]), mask

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
        mask = tf.sequence_mask(_split(sentences)[1], tf.shape(layers)[2])
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
                f"initialised, or its files damaged. TensorFlow says: {_first_line(error)}"
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
            f"or of a newer format. Download it again. TensorFlow says: {_first_line(error)}"
        ) from error


def _choose(module: Any, source: ElmoSource) -> _Reading:
    """The best way to read a module; raises SourceError when there is none."""
    signatures = dict(getattr(module, "signatures", {}))
    if reading := _read_tokens(signatures.get("tokens")):
        return reading
    first = ("default", "serving_default")
    for name in (*first, *sorted(set(signatures) - {*first, "tokens"})):
        if reading := _read_strings(signatures.get(name)):
            return reading
    for function in getattr(module.__call__, "concrete_functions", ()) if callable(module) else ():
        if reading := _read_strings(function):
            return reading
    found = [f"  {name} {_describe(function)}" for name, function in signatures.items()]
    raise SourceError(
        f"ELMo {source.handle}: no signature of this module takes text and gives vectors. Found are\n"
        + ("\n".join(found) or "  none")
        + f"\n{SUPPORTED}"
    )


def _read_tokens(function: Any) -> _Reading | None:
    """Reads the signature ``tokens`` of the published module, if this is one."""
    if function is None or set(_inputs(function)) != {"tokens", "sequence_len"}:
        return None
    if not (names := _token_outputs(function)):
        return None
    length_dtype = _inputs(function)["sequence_len"].dtype

    def run(sentences: tf.Tensor) -> Outputs:
        tokens, lengths = _split(sentences)
        return function(tokens=tokens, sequence_len=tf.cast(lengths, length_dtype))

    return _Reading(run, names, token_level=True)


def _read_strings(function: Any) -> _Reading | None:
    """Reads a function of one batch of strings, if this is one and there is a suitable output."""
    inputs = _inputs(function) if function is not None else {}
    if len(inputs) != 1:
        return None
    ((key, spec),) = inputs.items()
    if spec.dtype != tf.string or spec.shape.rank not in (None, 1):
        return None
    names = token_names = _token_outputs(function)
    if not token_names:
        vectors = list(_outputs_of_rank(function, 2))
        usual = [name for name in ("default", "outputs", "output_0") if name in vectors]
        if len(vectors) != 1 and not usual:
            return None
        names = ((usual or vectors)[0],)

    def run(sentences: tf.Tensor) -> Outputs:
        if not token_names:
            return _named(function(**{key: sentences}))
        # A module that splits by itself has no place for an empty sentence, and fails when all are
        # empty; a sentence of one token beside them, dropped afterwards, makes sure of one place.
        outputs = _named(function(**{key: tf.concat([sentences, ["."]], axis=0)}))
        return {name: outputs[name][:-1] for name in token_names}

    return _Reading(run, names, token_level=bool(token_names))


def _token_outputs(function: Any) -> tuple[str, ...]:
    """Names of the outputs [batch, max_len, width] that are the layers; empty when there are none."""
    outputs = _outputs_of_rank(function, 3)
    numbers = sorted(int(name[12:]) for name in outputs if re.fullmatch(r"lstm_outputs\d+", name))
    lstm = [f"lstm_outputs{number}" for number in numbers]
    if lstm and "word_emb" in outputs:
        width = outputs["word_emb"].shape[-1]
        if width is not None and outputs[lstm[0]].shape[-1] in (width, 2 * width):
            return ("word_emb", *lstm)
    if "elmo" in outputs:
        return ("elmo",)
    return tuple(outputs) if len(outputs) == 1 else ()


def _outputs_of_rank(function: Any, rank: int) -> dict[str, tf.TensorSpec]:
    """The float outputs of that rank, by name."""
    outputs = _named(function.structured_outputs)
    return {
        name: spec for name, spec in outputs.items() if spec.dtype.is_floating and spec.shape.rank == rank
    }


def _named(outputs: Any) -> Any:
    """Outputs as a dictionary; a single tensor gets the name that a signature would give it."""
    return outputs if isinstance(outputs, Mapping) else {"output_0": outputs}


def _inputs(function: Any) -> dict[str, tf.TensorSpec]:
    """The inputs of a loaded function, by the name with which they are passed."""
    positional, named = function.structured_input_signature
    specs = [*positional, *named.values()]
    if any(not isinstance(spec, tf.TensorSpec) for spec in specs):
        return {}
    return {**{spec.name: spec for spec in positional}, **named}


def _split(sentences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sentences (B,) -> tokens, tf.string (B, T) padded with "", and lengths, int32 (B,), at least 1."""
    tokens = tf.strings.split(sentences, sep=" ")
    return tokens.to_tensor(""), tf.cast(tokens.row_lengths(), tf.int32)


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


def _describe(function: Any) -> str:
    """A signature as text, for messages."""
    inputs = ", ".join(
        f"{name}: {spec.dtype.name} {_shape(spec)}" for name, spec in _inputs(function).items()
    )
    outputs = _named(function.structured_outputs)
    return f"({inputs}) -> " + ", ".join(f"{name}: {_shape(spec)}" for name, spec in outputs.items())


def _shape(spec: tf.TensorSpec) -> str:
    if spec.shape.rank is None:
        return "[...]"
    return "[" + ", ".join("?" if size is None else str(size) for size in spec.shape) + "]"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0][:300] or type(error).__name__
