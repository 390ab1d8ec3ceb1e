"""Seeds."""

import keras
import numpy as np
import pytest

from elmo_cli.training.determinism import make_deterministic


def test_initial_weights_repeat():
    weights = []
    for _ in range(2):
        make_deterministic(3)
        dense = keras.layers.Dense(4)
        dense.build((None, 5))
        weights.append(dense.get_weights()[0])
    np.testing.assert_array_equal(*weights)


def test_a_seed_out_of_range_is_refused():
    with pytest.raises(ValueError, match="below"):
        make_deterministic(-1)
