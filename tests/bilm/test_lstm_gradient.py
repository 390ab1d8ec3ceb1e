import keras
import numpy as np
import pytest
import tensorflow as tf

from elmo_cli.bilm.projected_lstm import ProjectedLSTMCell, State, scan_side_by_side


def cell(seed: int, dim: int, projection_dim: int, **clips: float | None) -> ProjectedLSTMCell:
    cell = ProjectedLSTMCell(dim, projection_dim, **clips)
    cell.build((None, 5))
    random = np.random.default_rng(seed)
    for weight in cell.weights:
        weight.assign(random.normal(scale=0.7, size=weight.shape))
    return cell


def gradients(
    cells: list[ProjectedLSTMCell], inputs: list[tf.Tensor], states: list[State], *, training: bool
) -> tuple[list[State], list[np.ndarray]]:
    random = np.random.default_rng(7)

    # The number of steps is unknown while the graph is built, as in pre-training.
    @tf.function(input_signature=[[tf.TensorSpec([None, None, x.shape[-1]]) for x in inputs]])
    def run(inputs):
        sources = tf.nest.flatten([[w.value for one in cells for w in one.weights], inputs, states])
        with tf.GradientTape() as tape:
            tape.watch(sources)
            after = scan_side_by_side(cells, inputs, states, training=training)
            loss = tf.add_n(
                [
                    tf.reduce_sum(x * weight)
                    for x, weight in zip(tf.nest.flatten(after), loss_weights, strict=True)
                ]
            )
        return after, tape.gradient(loss, sources)

    num_steps, batch_size = inputs[0].shape[:2]
    loss_weights = [
        tf.constant(random.normal(size=(num_steps, batch_size, width)), tf.float32)
        for one in cells
        for width in (one.projection_dim, one.dim)
    ]
    return run(inputs)


@pytest.mark.parametrize(("num_steps", "batch_size"), [(1, 3), (2, 3), (9, 3), (9, 64)])
@pytest.mark.parametrize(
    "clips",
    [
        {"cell_clip": None, "projection_clip": None},
        {"cell_clip": 100.0, "projection_clip": 100.0},
        {"cell_clip": 0.5, "projection_clip": None},
        {"cell_clip": 0.5, "projection_clip": 0.4},
    ],
)
def test_the_gradient_is_that_of_automatic_differentiation(
    num_steps: int, batch_size: int, clips: dict
) -> None:
    random = np.random.default_rng(3)
    cells = [cell(1, 6, 4, **clips), cell(2, 3, 2, **clips)]
    inputs = [tf.constant(random.normal(size=(num_steps, batch_size, 5)), tf.float32) for _ in cells]
    states = [
        State(
            tf.constant(random.normal(size=(batch_size, one.projection_dim)), tf.float32),
            tf.constant(random.normal(size=(batch_size, one.dim)), tf.float32),
        )
        for one in cells
    ]

    expected_states, expected = gradients(cells, inputs, states, training=False)
    actual_states, actual = gradients(cells, inputs, states, training=True)

    for one, other in zip(tf.nest.flatten(actual_states), tf.nest.flatten(expected_states), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    for bound, values in zip(clips.values(), expected_states[0][::-1], strict=True):
        if bound is not None and bound < 1 and num_steps > 1:
            assert 0.05 < np.mean(np.abs(values) == bound) < 0.95, "the clip must take hold, but not always"
    assert len(actual) == 2 * 3 + 2 + 4
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(other).max())


def test_the_gradient_of_outputs_alone_is_the_same() -> None:
    one = cell(1, 6, 4, cell_clip=0.5, projection_clip=0.4)
    inputs = [tf.constant(np.random.default_rng(3).normal(size=(9, 3, 5)), tf.float32)]
    found = []
    for training, with_memory in [(False, True), (False, False), (True, True), (True, False)]:
        sources = [weight.value for weight in one.weights]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            after = scan_side_by_side(
                [one], inputs, [one.initial_state(3)], training=training, with_memory=with_memory
            )[0]
            loss = tf.reduce_sum(after.output**2)
        assert (after.memory is None) is not with_memory
        found.append([after.output, *tape.gradient(loss, [*sources, *inputs])])
    for others in found[1:]:
        for mine, expected in zip(others, found[0], strict=True):
            np.testing.assert_allclose(mine, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_in_bfloat16_the_gradient_is_that_of_float32_but_for_rounding() -> None:
    cells = [cell(1, 6, 4)]
    mixed = ProjectedLSTMCell(6, 4, dtype="mixed_bfloat16")
    mixed.build((None, 5))
    mixed.set_weights(cells[0].get_weights())
    inputs = [tf.constant(np.random.default_rng(3).normal(size=(9, 3, 5)), tf.float32)]

    found = []
    for one in (cells[0], mixed):
        with tf.GradientTape() as tape:
            after = scan_side_by_side([one], inputs, [one.initial_state(3)], training=True)[0]
            loss = tf.reduce_sum(tf.cast(after.output, tf.float32) ** 2)
        found.append(tape.gradient(loss, [w.value for w in one.weights]))

    assert keras.backend.standardize_dtype(after.output.dtype) == "bfloat16"
    for exact, rounded in zip(*found, strict=True):
        assert rounded.dtype == tf.float32
        assert np.linalg.norm(exact - rounded) < 0.03 * np.linalg.norm(exact)
