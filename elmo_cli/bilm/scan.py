"""A loop over time steps that every Keras backend can differentiate."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Nested = Any  # a structure of tensors: lists and tuples


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
        inputs: Structure of tensors of shape (T, ...).
        like: Tensors, or specifications, of the shapes and dtypes of what one step gives.
        reverse: Whether to go from the last step to the first.

    Returns:
        The state after all steps, and what was collected, with a leading dimension T, at the place
        of its step.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.scan(step, initial, inputs, reverse=reverse)
    import tensorflow as tf

    flat_inputs = tf.nest.flatten(inputs)
    num_steps = tf.shape(flat_inputs[0])[0]
    arrays = [tf.TensorArray(x.dtype, num_steps).unstack(x) for x in flat_inputs]
    specifications = [(x.shape, tf.as_dtype(x.dtype)) for x in tf.nest.flatten(like)]
    collected = [tf.TensorArray(dtype, num_steps, element_shape=shape) for shape, dtype in specifications]

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
    stacked = []
    for array, (shape, _) in zip(collected, specifications, strict=True):
        sequence = array.stack()
        sequence.set_shape([None, *shape])
        stacked.append(sequence)
    return tf.nest.pack_sequence_as(initial, final), tf.nest.pack_sequence_as(like, stacked)
