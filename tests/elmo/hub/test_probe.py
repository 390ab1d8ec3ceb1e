import numpy as np
import pytest
import tensorflow as tf
from bilm.tiny_bilm import layers_of, tiny_bilm

from elmo_cli.bilm.weights import hdf5_names
from elmo_cli.elmo.hub.probe import try_out
from elmo_cli.elmo.hub.variables import ModuleWeights


@pytest.mark.parametrize("num_places", [0, 3])
def test_a_module_may_give_more_places_than_there_are_tokens(num_places):
    bilm = tiny_bilm()
    weights = ModuleWeights(bilm.options, {name: np.array(each) for name, each in hdf5_names(bilm).items()})

    def module(sentences: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        texts = [text.decode() for text in sentences.numpy()]
        layers = np.pad(layers_of(bilm, texts), [(0, 0), (0, 0), (0, num_places), (0, 0)])
        lengths = [len(text.split(" ")) for text in texts]
        return tf.constant(layers), tf.sequence_mask(lengths, layers.shape[2])

    found, attempts = try_out(weights, module)
    assert found is not None
    assert attempts[-1].agrees
