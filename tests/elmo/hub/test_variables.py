"""From the names and shapes in a checkpoint to the shape and weights of a biLM, or to the reason why not."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from bilm.tiny_bilm import OPTIONS, tiny_bilm

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.weights import checkpoint_names, hdf5_names
from elmo_cli.elmo.hub.variables import NotABiLMError, read_variables

CELL = "bilm/RNN_1/RNN/MultiRNNCell/Cell1/rnn/lstm_cell"


def published() -> dict[str, np.ndarray]:
    """The variables of a small network as a published module has them: 262 rows, convolutions with a 1."""
    values = {name: variable.numpy() for name, variable in checkpoint_names(tiny_bilm()).items()}
    values |= {name: value[None] for name, value in values.items() if "/W_cnn_" in name}
    values["bilm/char_embed"] = np.concatenate([np.zeros((1, 4), np.float32), values["bilm/char_embed"]])
    return values | {"aggregation/weights": np.zeros(3, np.float32), "aggregation/scaling": np.float32(1)}


def write(directory: Path, values: dict[str, np.ndarray]) -> Path:
    """A checkpoint as those of TensorFlow 1 are."""
    names = sorted(values)
    (directory / "variables").mkdir(parents=True)
    tf.raw_ops.SaveV2(
        prefix=str(directory / "variables" / "variables"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(values[name]) for name in names],
    )
    return directory


def renamed(values: dict[str, np.ndarray], old: str, new: str) -> dict[str, np.ndarray]:
    assert any(old in name for name in values)
    return {name.replace(old, new): value for name, value in values.items()}


def test_the_published_names_give_shape_and_values(tmp_path: Path) -> None:
    weights = read_variables(write(tmp_path, published() | {"global_step": np.int64(7)}))
    assert weights.options == OPTIONS
    assert weights.num_spare_rows == 1
    bilm = BiLM(OPTIONS)
    weights.assign_to(bilm, first_row=1)
    for one, other in zip(bilm.get_weights(), tiny_bilm().get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_our_own_names_come_back_to_the_last_bit(tmp_path: Path) -> None:
    bilm, again = tiny_bilm(seed=3), BiLM(OPTIONS)
    values = {name: variable.numpy() for name, variable in checkpoint_names(bilm).items()}
    weights = read_variables(write(tmp_path, values))
    assert (weights.options, weights.num_spare_rows) == (OPTIONS, 0)
    weights.assign_to(again, first_row=0)
    for name, variable in hdf5_names(again).items():
        np.testing.assert_array_equal(variable, hdf5_names(bilm)[name])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("bilm/", ""),
        ("bilm/", "module/bilm/"),
        ("char_embed", "character_embedding"),
        ("char_embed", "CharEmbeddings/table"),
        ("CNN_high_0/W_carry", "highway_0/carry/kernel"),
        ("CNN_high_0/b_transform", "Highway_0/transform/bias"),
        ("CNN_proj/W_proj", "projection/weights"),
        ("CNN_proj/", "output_projection/"),
        ("rnn/lstm_cell/kernel", "LSTMCell/W_0"),
        ("RNN/MultiRNNCell/Cell1/rnn/lstm_cell", "rnn/multi_rnn_cell/cell_1/lstm_cell"),
        ("bilm/char_embed", "embeddings"),
        ("bilm/CNN/", "bilm.SCNN/"),
    ],
)
def test_names_that_were_never_published_are_found_by_ending_and_shape(
    tmp_path: Path, old: str, new: str
) -> None:
    expected, weights = published(), read_variables(write(tmp_path, renamed(published(), old, new)))
    assert weights.options == OPTIONS
    for name, variable in hdf5_names(tiny_bilm()).items():
        value = weights.values[name]
        np.testing.assert_array_equal(value[1:] if name == "char_embed" else value, variable)
    assert len(expected) == len(weights.values) + 2


def test_variables_of_objects_are_found_by_path_or_by_name(tmp_path: Path) -> None:
    values = published()
    by_path, by_name = tf.Module(), tf.Module()
    for name, value in values.items():
        setattr(by_path, name, tf.Variable(value, name="weight"))  # the "/" is escaped in the path
    by_name.all = [tf.Variable(value, name=name) for name, value in values.items()]
    for number, module in enumerate((by_path, by_name)):
        checkpoint = tf.train.Checkpoint(root=module)
        checkpoint.write(str(tmp_path / str(number) / "variables" / "variables"))
        weights = read_variables(tmp_path / str(number))
        assert weights.options == OPTIONS
        np.testing.assert_array_equal(weights.values["char_embed"], values["bilm/char_embed"])


def without(name: str) -> dict[str, np.ndarray]:
    return {key: value for key, value in published().items() if not key.startswith(name)}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (without("bilm/"), "it has no variable bilm/CNN/W_cnn_0"),
        (without("bilm/CNN/W_cnn_1"), "it has no variable bilm/CNN/W_cnn_1"),
        (without("bilm/CNN_proj/b_proj"), "it has no variable bilm/CNN_proj/b_proj"),
        (without(f"{CELL}/projection"), f"it has no variable {CELL}/projection/kernel"),
        (without("bilm/RNN_0"), "it has no variable bilm/RNN_0/RNN/MultiRNNCell/Cell0/rnn/lstm_cell/proj"),
        (renamed(published(), "char_embed", "letters"), "it has no variable bilm/char_embed"),
        (renamed(published(), "CNN_high_0", "CNN_high_1"), "it has no variable bilm/CNN_high_0/W_carry"),
        (
            published() | {"bilm/char_embed": np.zeros((263, 4), np.float32)},
            r"bilm/char_embed should have the shape \(261, 4\) or \(262, 4\); it has .* \(263, 4\)",
        ),
        (
            published() | {"bilm/CNN_high_0/W_carry": np.zeros((12, 11), np.float32)},
            r"bilm/CNN_high_0/W_carry should have the shape \(12, 12\)",
        ),
        (
            published() | {f"{CELL}/bias": np.zeros((1, 24), np.float32)},
            rf"{CELL}/bias should have the shape \(24,\)",
        ),
        (
            published() | {"bilm/CNN/W_cnn_1": np.zeros((2, 2, 4, 4), np.float32)},
            r"bilm/CNN/W_cnn_1 has the shape \(2, 2, 4, 4\)",
        ),
        (
            published() | {"other/bilm/char_embed": published()["bilm/char_embed"]},
            "bilm/char_embed could be any of bilm/char_embed, other/bilm/char_embed",
        ),
        (
            renamed(published(), "char_embed", "character_embedding")
            | {"char_embeddings": np.zeros((261, 4), np.float32)},
            "bilm/char_embed could be any of bilm/character_embedding, char_embeddings",
        ),
        (
            published() | {"bilm/CNN_proj/b_proj": np.full(5, np.nan, np.float32)},
            "variable bilm/CNN_proj/b_proj holds numbers that are not finite",
        ),
        (
            published() | {"bilm/CNN/W_cnn_0": np.zeros((1, 60, 4, 3), np.float32)},
            "its variables have impossible shapes .max_characters_per_token",
        ),
    ],
)
def test_what_is_no_bilm_is_said_with_the_name(
    tmp_path: Path, values: dict[str, np.ndarray], reason: str
) -> None:
    with pytest.raises(NotABiLMError, match=f"^{reason}"):
        read_variables(write(tmp_path, values))


def test_a_module_without_variables_or_with_damaged_ones_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotABiLMError, match="it has no variables"):
        read_variables(tmp_path)
    (file,) = write(tmp_path, published()).glob("variables/*.data*")
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(NotABiLMError, match="its variables cannot be read"):
        read_variables(tmp_path)
