"""The dense head."""

import numpy as np
import pytest
from layer_battery import check_layer

from elmo_cli.classifier.heads import DenseHead

VECTORS = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)


@pytest.mark.parametrize(("hidden", "num_trainable"), [((), 2), ((16, 12), 6)])
def test_battery(hidden, num_trainable):
    check_layer(
        DenseHead,
        {"num_classes": 3, "hidden": hidden, "dropout": 0.2},
        VECTORS,
        expected_output_shape=(6, 3),
        expected_num_trainable=num_trainable,
    )


def test_without_hidden_layers_it_is_linear():
    head = DenseHead(3)
    logits = head(VECTORS)
    kernel, bias = head.get_weights()
    np.testing.assert_allclose(logits, VECTORS @ kernel + bias, atol=1e-6)


def test_dropout_works_in_training_only():
    head = DenseHead(3, dropout=0.5)
    np.testing.assert_array_equal(head(VECTORS), head(VECTORS))
    assert not np.array_equal(head(VECTORS, training=True), head(VECTORS))


def test_a_penalised_linear_head_starts_undecided_and_pays_for_its_weights():
    head = DenseHead(3, l2=0.25)
    np.testing.assert_array_equal(head(VECTORS), np.zeros((6, 3)))
    head.logits_layer.kernel.assign(np.full((8, 3), 2.0))
    np.testing.assert_allclose(sum(head.losses), 0.25 * 24 * 4)
    assert DenseHead.from_config(head.get_config()).l2 == 0.25


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="dropout"):
        DenseHead(3, dropout=1.0)
    with pytest.raises(ValueError, match="at least 1"):
        DenseHead(0)
    for arguments in ({"l2": -1.0}, {"l2": 0.1, "hidden": (4,)}):
        with pytest.raises(ValueError, match="l2 must be at least 0"):
            DenseHead(3, **arguments)
