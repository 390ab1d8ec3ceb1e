"""Weight files: what is written is what AllenNLP reads, and comes back to the last bit."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from bilm.tiny_bilm import OPTIONS, tiny_bilm, tiny_options

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.weights import checkpoint_names, hdf5_names, read_weights, write_weights
from elmo_cli.errors import SourceError

LSTM = "RNN_{}/RNN/MultiRNNCell/Cell{}/LSTMCell/{}"
SHAPES = {
    "char_embed": (261, 4),
    "CNN/W_cnn_0": (1, 1, 4, 3),
    "CNN/b_cnn_0": (3,),
    "CNN/W_cnn_1": (1, 2, 4, 4),
    "CNN/b_cnn_1": (4,),
    "CNN/W_cnn_2": (1, 3, 4, 5),
    "CNN/b_cnn_2": (5,),
    "CNN_high_0/W_carry": (12, 12),
    "CNN_high_0/b_carry": (12,),
    "CNN_high_0/W_transform": (12, 12),
    "CNN_high_0/b_transform": (12,),
    "CNN_proj/W_proj": (12, 5),
    "CNN_proj/b_proj": (5,),
} | {
    LSTM.format(direction, layer, name): shape
    for direction in (0, 1)
    for layer in (0, 1)
    for name, shape in (("W_0", (10, 24)), ("B", (24,)), ("W_P_0", (6, 5)))
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.hdf5"
    write_weights(tiny_bilm(), path)
    return path


def test_names_and_shapes_are_those_of_allennlp(file: Path) -> None:
    found = {}
    with h5py.File(file) as content:
        content.visititems(
            lambda name, item: found.update({name: item.shape}) if isinstance(item, h5py.Dataset) else None
        )
    assert found == SHAPES


def test_a_checkpoint_has_the_names_of_the_published_module() -> None:
    bilm = tiny_bilm()
    names = checkpoint_names(bilm)
    for name in (
        "bilm/char_embed",
        "bilm/CNN/W_cnn_2",
        "bilm/CNN_high_0/b_carry",
        "bilm/CNN_proj/W_proj",
        "bilm/RNN_0/RNN/MultiRNNCell/Cell0/rnn/lstm_cell/kernel",
        "bilm/RNN_1/RNN/MultiRNNCell/Cell1/rnn/lstm_cell/bias",
        "bilm/RNN_1/RNN/MultiRNNCell/Cell1/rnn/lstm_cell/projection/kernel",
    ):
        assert name in names
    assert len(names) == len(bilm.weights)
    assert names["bilm/RNN_0/RNN/MultiRNNCell/Cell1/rnn/lstm_cell/kernel"] is bilm.forward_cells[1].kernel


def test_names_are_those_of_the_published_file(shared: Path, tmp_path: Path) -> None:
    path = shared / "elmo-fixture" / "lm_weights.hdf5"
    if not path.is_file():
        pytest.skip("the published fixture is not here")
    options = tiny_options(
        cnn={"filters": ((1, 4), (2, 8), (3, 16), (4, 32), (5, 64)), "num_highway": 2},
        lstm={"dim": 64, "projection_dim": 16},
    )
    bilm = BiLM(options)
    read_weights(bilm, path)
    write_weights(bilm, tmp_path / "ours.hdf5")
    with h5py.File(path) as published, h5py.File(tmp_path / "ours.hdf5") as ours:
        names = []
        ours.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        assert len(names) == len(bilm.weights)
        for name in names:
            np.testing.assert_array_equal(ours[name][...], published[name][...])
            assert ours[name].shape == published[name].shape


def test_weights_come_back_to_the_last_bit(file: Path) -> None:
    again = BiLM(OPTIONS)
    read_weights(again, file)
    for one, other in zip(again.get_weights(), tiny_bilm().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_precision_halves_the_file_and_rounds_once(tmp_path: Path) -> None:
    bilm, path, again = tiny_bilm(), tmp_path / "half.hdf5", tmp_path / "again.hdf5"
    write_weights(bilm, path, dtype="float16")
    with h5py.File(path) as content:
        assert content["char_embed"].dtype == np.float16
    read = BiLM(OPTIONS)
    read_weights(read, path)
    for one, other in zip(read.weights, bilm.weights, strict=True):
        is_lstm_bias = one.name == "bias"  # to which AllenNLP adds 1 in the type of the file
        expected = other.numpy().astype(np.float32 if is_lstm_bias else np.float16).astype(np.float32)
        np.testing.assert_array_equal(one.numpy(), expected)
    write_weights(read, again, dtype="float16")
    with h5py.File(path) as one, h5py.File(again) as other:
        np.testing.assert_array_equal(one["CNN/W_cnn_1"][...], other["CNN/W_cnn_1"][...])


def test_a_weight_too_large_for_half_precision_is_refused(tmp_path: Path) -> None:
    bilm = tiny_bilm()
    bilm.character_cnn.projection_bias.assign(np.full(5, 1e6))
    with pytest.raises(ValueError, match=r"CNN_proj/b_proj.*float16"):
        write_weights(bilm, tmp_path / "half.hdf5", dtype="float16")


def test_more_than_is_needed_in_the_file_does_not_matter(file: Path) -> None:
    with h5py.File(file, "a") as content:
        content["softmax/W"] = np.zeros(3)
        expected = content["char_embed"][...]
    bilm = BiLM(OPTIONS)
    read_weights(bilm, file)
    np.testing.assert_array_equal(bilm.character_cnn.character_embedding.numpy(), expected)
    assert "softmax/W" not in hdf5_names(bilm)


@pytest.mark.parametrize("name", ["char_embed", "CNN/W_cnn_1", LSTM.format(1, 1, "W_P_0")])
def test_a_missing_weight_is_named(file: Path, name: str) -> None:
    with h5py.File(file, "a") as content:
        del content[name]
    with pytest.raises(SourceError, match=rf'weights\.hdf5: there is no weight "{name}".*belong together'):
        read_weights(BiLM(OPTIONS), file)


def test_another_shape_is_named_with_both(file: Path) -> None:
    with pytest.raises(SourceError, match=r'"CNN_proj/W_proj" has the shape \(12, 5\).*\(12, 7\)'):
        read_weights(BiLM(tiny_options(lstm={"projection_dim": 7})), file)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(file: Path, value: float) -> None:
    with h5py.File(file, "a") as content:
        content["CNN/b_cnn_0"][1] = value
    with pytest.raises(SourceError, match=r'"CNN/b_cnn_0" holds values that are not finite'):
        read_weights(BiLM(OPTIONS), file)


def test_a_group_in_place_of_a_weight_is_refused(file: Path) -> None:
    with h5py.File(file, "a") as content:
        del content["char_embed"]
        content.create_group("char_embed")
    with pytest.raises(SourceError, match=r'there is no weight "char_embed"'):
        read_weights(BiLM(OPTIONS), file)


def test_what_is_no_hdf5_file_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.hdf5"
    text.write_text("<html>404</html>")
    for path in (text, tmp_path / "absent.hdf5", tmp_path):
        with pytest.raises(SourceError, match=f"{path.name}: not a readable HDF5 file"):
            read_weights(BiLM(OPTIONS), path)


def test_a_refused_file_leaves_the_network_as_it_was(file: Path) -> None:
    with h5py.File(file, "a") as content:
        content[LSTM.format(1, 1, "B")][0] = np.nan
    bilm = tiny_bilm(seed=5)
    before = bilm.get_weights()
    with pytest.raises(SourceError):
        read_weights(bilm, file)
    for one, other in zip(bilm.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)
