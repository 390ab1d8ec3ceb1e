"""Rows to train on, and the weights of their classes."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from elmo_cli.training.arrays import LabelledArrays, balanced_class_weights


def test_balanced_weights_are_those_of_scikit_learn():
    targets = np.array([0, 0, 0, 1, 2, 2], np.int32)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=targets)
    np.testing.assert_allclose(balanced_class_weights(targets, 3), expected, rtol=1e-6)


def test_a_class_without_rows_weighs_one():
    np.testing.assert_array_equal(balanced_class_weights(np.array([0, 2], np.int32), 4), [1, 1, 1, 1])


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 inputs and 3 targets"):
        LabelledArrays(np.zeros((2, 4), np.float32), np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="at least 0"):
        LabelledArrays(np.zeros((1, 4), np.float32), np.array([-1], np.int32))
