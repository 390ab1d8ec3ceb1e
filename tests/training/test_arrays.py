"""Rows to train on, and the weights of their classes."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from elmo_cli.training.arrays import LabelledArrays, balanced_class_weights, class_weights

INPUTS = np.arange(12, dtype=np.float32).reshape(6, 2)


def test_balanced_weights_are_those_of_scikit_learn():
    targets = np.array([0, 0, 0, 1, 2, 2], np.int32)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    np.testing.assert_allclose(balanced_class_weights(targets, 3), expected, rtol=1e-6)


def test_a_class_without_rows_weighs_one():
    np.testing.assert_array_equal(balanced_class_weights(np.array([0, 2], np.int32), 4), [1, 1, 1, 1])


@pytest.mark.parametrize(
    ("num_inputs", "targets", "rows", "message"),
    [
        (2, [0, 0, 0], None, "2 inputs and 3 targets"),
        (6, [0, 0], [1], "1 inputs and 2 targets"),
        (0, [], None, "0 inputs and 0 targets"),
        (1, [-1], None, "at least 0"),
        (6, [0, 0], [0, 6], "rows must be at least 0 and below 6"),
        (6, [0, 0], [-1, 0], "rows must be at least 0 and below 6"),
    ],
)
def test_rows_that_do_not_fit_are_refused(num_inputs, targets, rows, message):
    chosen = None if rows is None else np.array(rows)
    with pytest.raises(ValueError, match=message):
        LabelledArrays(INPUTS[:num_inputs], np.array(targets, np.int32), chosen)


@pytest.mark.parametrize("dtype", [np.int32, np.float64])
def test_inputs_of_another_type_are_refused(dtype):
    with pytest.raises(ValueError, match=f"not {np.dtype(dtype).name}"):
        LabelledArrays(INPUTS.astype(dtype), np.zeros(6, np.int32))


@pytest.mark.parametrize("rows", [None, [5, 0, 0, 3, 2, 1]])
def test_blocks_together_are_the_rows_asked_for_in_their_order(rows):
    targets = np.arange(10, 16, dtype=np.int32)
    arrays = LabelledArrays(INPUTS, targets, None if rows is None else np.array(rows))
    order = np.array([4, 1, 2, 0, 5])
    blocks = list(arrays.blocks(order, 2))
    assert [len(block.inputs) for block in blocks] == [2, 2, 1]
    used = np.concatenate([block.inputs[block.order] for block in blocks])
    np.testing.assert_array_equal(used, (INPUTS if rows is None else INPUTS[rows])[order])
    np.testing.assert_array_equal(
        np.concatenate([block.targets[block.order] for block in blocks]), targets[order]
    )


def test_a_block_is_read_from_front_to_back_in_its_own_type():
    arrays = LabelledArrays(INPUTS.astype(np.float16), np.zeros(6, np.int32))
    (block,) = arrays.blocks(np.array([4, 1, 5, 0]), 4)
    np.testing.assert_array_equal(block.inputs, INPUTS[[0, 1, 4, 5]])
    assert block.inputs.dtype == np.float16


def test_class_weights_are_ones_unless_balanced_ones_are_wanted():
    targets = np.array([0, 0, 0, 1], np.int32)
    np.testing.assert_array_equal(class_weights("none", targets, 2), [1, 1])
    np.testing.assert_array_equal(class_weights("balanced", targets, 2), balanced_class_weights(targets, 2))
