"""A loop over time steps that every Keras backend can differentiate."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Nested = Any  # a structure of tensors: lists and tuples


def scan(step: Callable[[Nested, Nested], Nested], initial: Nested, inputs: Nested) -> Nested:
    """Carries a state through time and returns the states after every step.

    Under TensorFlow the number of steps may be unknown while the graph is built, which
    `keras.ops.scan` does not allow there.

    Args:
        step: Function from the carried state and the inputs of one step to the next state, of the
            same structure, shapes and dtypes.
        initial: The state before the first step.
        inputs: Structure of tensors of shape (T, ...).

    Returns:
        The structure of `initial`, each tensor with a leading dimension T.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.scan(lambda carried, at: (step(carried, at),) * 2, initial, inputs)[1]
    import tensorflow as tf

    flat_inputs = tf.nest.flatten(inputs)
    flat_initial = tf.nest.flatten(initial)
    num_steps = tf.shape(flat_inputs[0])[0]
    arrays = [tf.TensorArray(x.dtype, num_steps).unstack(x) for x in flat_inputs]
    collected = [tf.TensorArray(x.dtype, num_steps) for x in flat_initial]

    def body(time: Any, carried: Any, collected: Any) -> Any:
        at = tf.nest.pack_sequence_as(inputs, [array.read(time) for array in arrays])
        after = tf.nest.flatten(step(tf.nest.pack_sequence_as(initial, carried), at))
        return time + 1, after, [array.write(time, x) for array, x in zip(collected, after, strict=True)]

    _, _, collected = tf.while_loop(
        lambda time, *_: time < num_steps,
        body,
        (tf.constant(0), flat_initial, collected),
        maximum_iterations=num_steps,
    )
    stacked = []
    for array, x in zip(collected, flat_initial, strict=True):
        sequence = array.stack()
        sequence.set_shape([None, *x.shape])
        stacked.append(sequence)
    return tf.nest.pack_sequence_as(initial, stacked)
