"""One battery that every Keras layer of this project passes.

from layer_battery import check_layer

def test_the_battery():
    check_layer(
        ScalarMix,
        {"l2": 0.01},
        np.ones((2, 3, 4), np.float32),
        expected_output_shape=(2, 4),
        expected_num_trainable=2,
    )
"""

import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

Inputs = Any  # an array; a tuple of positional arguments; or a dict of keyword arguments
Layer = type[keras.layers.Layer]


def check_layer(
    layer_class: Layer,
    init_arguments: Mapping[str, Any],
    inputs: Inputs,
    *,
    expected_output_shape: Any,
    expected_num_trainable: int,
    expected_num_non_trainable: int = 0,
    call_arguments: Mapping[str, Any] | None = None,
    symbolic: bool = True,
    training_step: bool = True,
    mixed_bfloat16: bool = True,
    unmoved: tuple[str, ...] = (),
    atol: float = 1e-6,
) -> keras.layers.Layer:
    """Checks the layer and returns a built one for further tests.

    Args:
        layer_class: The layer; registered under the package ``elmo_cli``.
        init_arguments: What it is made with; each must come back from ``get_config``.
        inputs: Arrays with a leading batch axis: one array, a tuple of positional call arguments, or a
            dict of keyword call arguments. Strings as object arrays.
        expected_output_shape: Shape of the output for these inputs, or one shape per output in the order
            of `keras.tree.flatten`, as a list of tuples.
        expected_num_trainable: Number of trainable variables.
        expected_num_non_trainable: Number of other variables, random seeds aside.
        call_arguments: Further keyword arguments of the call that are not tensors.
        symbolic: Whether the layer must work on `keras.Input`.
        training_step: Whether a step with gradients must move the trainable variables and only them.
        mixed_bfloat16: Whether the layer must work under that dtype policy.
        unmoved: Names of trainable variables that such a step may leave as they were.
        atol: Greatest difference between two ways of calling the same layer.
    """
    call_arguments = dict(call_arguments or {})
    layer = layer_class(**init_arguments)
    outputs = _call(layer, inputs, call_arguments)

    _check_build(layer, outputs, expected_output_shape, expected_num_trainable, expected_num_non_trainable)
    _check_serialisation(layer, init_arguments, inputs, outputs, call_arguments, atol)
    if symbolic:
        _check_symbolic(layer, inputs, outputs, call_arguments, atol)
    if training_step and expected_num_trainable:
        _check_training_step(layer_class(**init_arguments), inputs, call_arguments, unmoved)
    if mixed_bfloat16:
        _check_mixed_bfloat16(layer_class, init_arguments, inputs, outputs, call_arguments)
    return layer


def _call(layer: keras.layers.Layer, inputs: Inputs, call_arguments: Mapping[str, Any]) -> Any:
    if isinstance(inputs, dict):
        return layer(**{name: _tensor(value) for name, value in inputs.items()}, **call_arguments)
    arguments = inputs if isinstance(inputs, tuple) else (inputs,)
    return layer(*(_tensor(value) for value in arguments), **call_arguments)


def _tensor(value: Any) -> Any:
    return tf.constant(value) if isinstance(value, np.ndarray) else value


def _flat(outputs: Any) -> list[np.ndarray]:
    return [np.asarray(output) for output in keras.tree.flatten(outputs)]


def _floats(outputs: Any) -> list[Any]:
    flat = keras.tree.flatten(outputs)
    return [tf.cast(output, "float32") for output in flat if tf.as_dtype(output.dtype).is_floating]


def _assert_equal(actual: Any, expected: Any, atol: float, what: str) -> None:
    for one, other in zip(_flat(actual), _flat(expected), strict=True):
        assert one.dtype == other.dtype, what
        if one.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=0, atol=atol, err_msg=what)
        else:
            np.testing.assert_array_equal(one, other, err_msg=what)


def _check_build(
    layer: keras.layers.Layer, outputs: Any, shape: Any, num_trainable: int, num_non_trainable: int
) -> None:
    assert layer.built
    shapes = shape if isinstance(shape, list) else [shape]
    assert [tuple(output.shape) for output in _flat(outputs)] == [tuple(one) for one in shapes]
    names = [weight.path for weight in layer.trainable_weights]
    assert len(names) == num_trainable, f"trainable: {names}"
    names = [weight.path for weight in layer.non_trainable_weights]
    assert len(names) == num_non_trainable, f"not trainable: {names}"
    for output in _floats(outputs):
        assert np.isfinite(output).all(), "the output is not finite"


def _check_serialisation(
    layer: keras.layers.Layer,
    init_arguments: Mapping[str, Any],
    inputs: Inputs,
    outputs: Any,
    call_arguments: Mapping[str, Any],
    atol: float,
) -> None:
    assert keras.saving.get_registered_name(type(layer)) == f"elmo_cli>{type(layer).__name__}"
    config = layer.get_config()
    assert set(init_arguments) <= set(config), "an argument is missing in get_config"
    # JSON turns tuples into lists, and a layer must take both.
    read = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
    again = keras.saving.deserialize_keras_object(read)
    assert type(again) is type(layer)
    assert again.get_config() == config
    _call(again, inputs, call_arguments)
    again.set_weights(layer.get_weights())
    _assert_equal(_call(again, inputs, call_arguments), outputs, atol, "after a round trip through JSON")


def _check_symbolic(
    layer: keras.layers.Layer, inputs: Inputs, outputs: Any, call_arguments: Mapping[str, Any], atol: float
) -> None:
    symbols = keras.tree.map_structure(_symbol, inputs)
    model = keras.Model(keras.tree.flatten(symbols), _call(layer, symbols, call_arguments))
    for symbol, output in zip(model.outputs, _flat(outputs), strict=True):
        assert len(symbol.shape) == output.ndim
        known = zip(symbol.shape, output.shape, strict=True)
        assert all(one in (None, other) for one, other in known), f"{symbol.shape} or {output.shape}"
        assert keras.backend.standardize_dtype(symbol.dtype) == output.dtype.name
    tensors = [_tensor(value) for value in keras.tree.flatten(inputs)]
    _assert_equal(model(tensors), outputs, atol, "symbolic call against eager call")

    @tf.function
    def graph(tensors: list[Any]) -> Any:
        return _call(layer, keras.tree.pack_sequence_as(inputs, tensors), call_arguments)

    _assert_equal(graph(tensors), outputs, atol, "call in a graph against eager call")


def _symbol(value: np.ndarray) -> Any:
    dtype = "string" if value.dtype.kind in "OUS" else value.dtype.name
    return keras.Input(shape=value.shape[1:], dtype=dtype)


def _check_training_step(
    layer: keras.layers.Layer, inputs: Inputs, call_arguments: Mapping[str, Any], unmoved: tuple[str, ...]
) -> None:
    shapes = [output.shape for output in _floats(_call(layer, inputs, call_arguments))]
    random = np.random.default_rng(0)
    targets = [random.normal(size=shape).astype(np.float32) for shape in shapes]
    trained = list(layer.trainable_weights)
    fixed = list(layer.non_trainable_weights)
    before = [weight.numpy().copy() for weight in (*trained, *fixed)]
    optimizer = keras.optimizers.SGD(0.1)
    with tf.GradientTape() as tape:
        outputs = _floats(_call(layer, inputs, call_arguments))
        loss = tf.add_n([tf.reduce_mean((out - to) ** 2) for out, to in zip(outputs, targets, strict=True)])
    gradients = tape.gradient(loss, [weight.value for weight in trained])
    for weight, gradient in zip(trained, gradients, strict=True):
        assert gradient is not None, f"no gradient reaches {weight.path}"
    optimizer.apply(gradients, trained)
    for weight, value in zip((*trained, *fixed), before, strict=True):
        moved = not np.array_equal(weight.numpy(), value)
        assert np.isfinite(weight.numpy()).all(), f"{weight.path} is not finite after a step"
        if weight.name not in unmoved:
            assert moved == weight.trainable, f"{weight.path} {'moved' if moved else 'did not move'}"


def _check_mixed_bfloat16(
    layer_class: Layer,
    init_arguments: Mapping[str, Any],
    inputs: Inputs,
    outputs: Any,
    call_arguments: Mapping[str, Any],
) -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = layer_class(**init_arguments)
        mixed = _call(layer, inputs, call_arguments)
    finally:
        keras.config.set_dtype_policy(policy)
    for weight in layer.trainable_weights:
        assert weight.dtype == "float32", f"{weight.path} is kept in {weight.dtype}"
    assert [tuple(one.shape) for one in keras.tree.flatten(mixed)] == [one.shape for one in _flat(outputs)]
    for output in _floats(mixed):
        assert np.isfinite(output).all(), "not finite in bfloat16"
