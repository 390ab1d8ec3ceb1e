"""Which signature of a loaded TensorFlow Hub module is read, and how."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from elmo_cli.errors import SourceError

SUPPORTED = """These can be read:
  tokens (tokens: string [batch, max_len], sequence_len: int32 [batch]) -> word_emb, lstm_outputs1, ...
  any signature (string [batch]) -> elmo or another float output [batch, max_len, dim]
  any signature (string [batch]) -> a float output [batch, dim]"""

Outputs = Mapping[str, tf.Tensor]


@dataclass(frozen=True)
class Reading:
    """How a module is called and which of its outputs are the layers.

    Args:
        run: From the output names to the outputs, for sentences tf.string (B,).
        names: Outputs that become layers, from the first to the last.
        token_level: Whether those are (B, T, width), not (B, width).
    """

    run: Callable[[tf.Tensor], Outputs]
    names: tuple[str, ...]
    token_level: bool


def choose_reading(module: Any, name: str) -> Reading:
    """Finds the best way to read a module.

    Args:
        module: As TensorFlow loaded it.
        name: What messages call it.

    Returns:
        The reading.

    Raises:
        SourceError: When nothing in the module takes text and gives vectors; all signatures are listed.
    """
    signatures = dict(getattr(module, "signatures", {}))
    if reading := _read_tokens(signatures.get("tokens")):
        return reading
    first = ("default", "serving_default")
    for key in (*first, *sorted(set(signatures) - {*first, "tokens"})):
        if reading := _read_strings(signatures.get(key)):
            return reading
    for function in getattr(module.__call__, "concrete_functions", ()) if callable(module) else ():
        if reading := _read_strings(function):
            return reading
    found = [f"  {key} {_describe(function)}" for key, function in signatures.items()]
    raise SourceError(
        f"ELMo {name}: no signature of this module takes text and gives vectors. It has:\n"
        + ("\n".join(found) or "  none")
        + f"\n{SUPPORTED}"
    )


def _read_tokens(function: Any) -> Reading | None:
    """Reads the signature ``tokens`` of the published module, if this is one."""
    if function is None or set(_inputs(function)) != {"tokens", "sequence_len"}:
        return None
    if not (names := _token_outputs(function)):
        return None
    length_dtype = _inputs(function)["sequence_len"].dtype

    def run(sentences: tf.Tensor) -> Outputs:
        tokens, lengths = split(sentences)
        return function(tokens=tokens, sequence_len=tf.cast(lengths, length_dtype))

    return Reading(run, names, token_level=True)


def _read_strings(function: Any) -> Reading | None:
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

    return Reading(run, names, token_level=bool(token_names))


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


def split(sentences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sentences (B,) -> tokens, tf.string (B, T) padded with "", and lengths, int32 (B,), at least 1."""
    tokens = tf.strings.split(sentences, sep=" ")
    return tokens.to_tensor(""), tf.cast(tokens.row_lengths(), tf.int32)


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
