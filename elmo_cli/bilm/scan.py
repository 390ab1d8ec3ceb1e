"""A loop over time steps that every Keras backend can differentiate."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

Nested = Any  # a structure of tensors: lists and tuples


@dataclass(frozen=True)
class ArrayOf:
    """Stands for what is collected for another loop to read, and not stacked: a `tf.TensorArray`.

    Args:
        shape: Of what one step gives.
        dtype: Of it.
    """

    shape: Any
    dtype: Any


def scan(
    step: Callable[[Nested, Nested], tuple[Nested, Nested]],
    initial: Nested,
    inputs: Nested,
    *,
    like: Nested,
    reverse: bool = False,
) -> tuple[Nested, Nested]:
    """Carries a state through time and collects what every step gives.

    Under TensorFlow the number of steps may be unknown while the graph is built, which
    `keras.ops.scan` does not allow there.

    Args:
        step: Function from the carried state and the inputs of one step to the next state, of the
            same structure, shapes and dtypes, and what is to be collected.
        initial: The state before the first step.
        inputs: Structure of tensors of shape (T, ...); under TensorFlow some may be arrays of T entries.
        like: Tensors, specifications or `ArrayOf`, of the shapes and dtypes of what one step gives.
        reverse: Whether to go from the last step to the first.

    Returns:
        The state after all steps, and what was collected, with a leading dimension T, at the place
        of its step.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.scan(step, initial, inputs, reverse=reverse)
    import tensorflow as tf

    flat_inputs = tf.nest.flatten(inputs)
    num_steps = next(tf.shape(x)[0] for x in flat_inputs if not isinstance(x, tf.TensorArray))
    arrays = [
        x if isinstance(x, tf.TensorArray) else tf.TensorArray(x.dtype, num_steps).unstack(x)
        for x in flat_inputs
    ]
    specifications = tf.nest.flatten(like)
    collected = [
        tf.TensorArray(tf.as_dtype(one.dtype), num_steps, element_shape=one.shape) for one in specifications
    ]

    def body(count: Any, carried: Any, collected: Any) -> Any:
        time = num_steps - 1 - count if reverse else count
        at = tf.nest.pack_sequence_as(inputs, [array.read(time) for array in arrays])
        carried, given = step(tf.nest.pack_sequence_as(initial, carried), at)
        written = [array.write(time, x) for array, x in zip(collected, tf.nest.flatten(given), strict=True)]
        return count + 1, tf.nest.flatten(carried), written

    _, final, collected = tf.while_loop(
        lambda count, *_: count < num_steps,
        body,
        (tf.constant(0), tf.nest.flatten(initial), collected),
        maximum_iterations=num_steps,
    )
    gathered = []
    for array, specification in zip(collected, specifications, strict=True):
        if isinstance(specification, ArrayOf):
            gathered.append(array)
            continue
        sequence = array.stack()
        sequence.set_shape([None, *specification.shape])
        gathered.append(sequence)
    return tf.nest.pack_sequence_as(initial, final), tf.nest.pack_sequence_as(like, gathered)
