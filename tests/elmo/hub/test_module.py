"""A module that is written has the names, shapes and numbers of google/elmo."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from bilm.tiny_bilm import layers_of, tiny_bilm, tiny_options

from elmo_cli.elmo.hub.module import Aggregation, write_hub_module

SENTENCES = ["It 's a na\u00efve test .", "", "No", "\U0001f642 " + "x" * 60, "the the cat sat on the mat"]
MIX = Aggregation(np.array([0.3, -1.0, 0.5], np.float32), 1.7)
SCOPE = "bilm/RNN_{}/RNN/MultiRNNCell/Cell{}/rnn/lstm_cell/{}"


@pytest.fixture(scope="module")
def bilm() -> Any:
    return tiny_bilm()


@pytest.fixture(scope="module")
def written(bilm: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hub") / "module"
    write_hub_module(bilm, MIX, directory)
    return directory


@pytest.fixture(scope="module")
def module(written: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pkg_resources, at import
        import tensorflow_hub as hub

    return hub.load(str(written))


def expected(bilm: Any, sentences: list[str]) -> dict[str, np.ndarray]:
    """The outputs of google/elmo, computed in NumPy from the native layers."""
    layers = layers_of(bilm, sentences)
    shares = np.exp(MIX.weights) / np.exp(MIX.weights).sum()
    elmo = MIX.scaling * np.einsum("l,bltd->btd", shares, layers)
    lengths = np.array([len(sentence.split(" ")) for sentence in sentences])
    return {
        "word_emb": layers[:, 0, :, : bilm.options.dim // 2],
        "lstm_outputs1": layers[:, 1],
        "lstm_outputs2": layers[:, 2],
        "elmo": elmo,
        "default": elmo.sum(axis=1) / lengths[:, None],
    }


def test_default_takes_sentences(bilm: Any, module: Any) -> None:
    found = module.signatures["default"](strings=tf.constant(SENTENCES))
    wanted = expected(bilm, SENTENCES)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-6, err_msg=name)


def test_default_passes_over_more_than_one_space(module: Any) -> None:
    found, wanted = (
        module.signatures["default"](tf.constant([text]))["elmo"] for text in ("  a   b ", "a b")
    )
    np.testing.assert_array_equal(found, wanted)


def test_tokens_takes_padded_tokens(bilm: Any, module: Any) -> None:
    tokens = [["the", "cat", "junk", ""], ["a", "b", "c", ""], ["", "", "", ""]]
    found = module.signatures["tokens"](
        tokens=tf.constant(tokens), sequence_len=tf.constant([2, 3, 0], tf.int32)
    )
    wanted = expected(bilm, ["the cat", "a b c"])
    for name, value in wanted.items():
        if name != "default":
            assert found[name].shape[:2] == (3, 4)
            np.testing.assert_allclose(found[name][:2, :3], value, atol=1e-6, err_msg=name)
            assert not np.any(found[name][:, 3:])
    np.testing.assert_allclose(found["default"][:2], wanted["default"], atol=1e-6)
    assert not np.any(found["default"][2])


def test_both_signatures_give_the_same(module: Any) -> None:
    rows = [sentence.split(" ") for sentence in SENTENCES if sentence]
    width = 2 + max(map(len, rows))
    tokens = [row + ["junk"] * (width - len(row)) for row in [*rows, []]]
    lengths = tf.constant([*map(len, rows), 0], tf.int32)
    found = module.signatures["tokens"](tokens=tf.constant(tokens), sequence_len=lengths)
    wanted = module.signatures["default"](strings=tf.constant([" ".join(row) for row in rows]))
    for name, value in wanted.items():
        inside = found[name][:-1] if name == "default" else found[name][:-1, : width - 2]
        np.testing.assert_allclose(inside, value, atol=1e-6, err_msg=name)
        assert not np.any(found[name][-1])
        assert name == "default" or not np.any(found[name][:, width - 2 :])


def test_a_checkpoint_holds_the_published_names_and_shapes(bilm: Any, written: Path) -> None:
    ending = "/.ATTRIBUTES/VARIABLE_VALUE"
    shapes = {
        name.removesuffix(ending): tuple(shape)
        for name, shape in tf.train.list_variables(str(written / "variables" / "variables"))
    }
    lstm = bilm.options.lstm
    for direction in (0, 1):
        for cell in (0, 1):
            assert shapes[SCOPE.format(direction, cell, "kernel")] == (2 * lstm.projection_dim, 4 * lstm.dim)
            assert shapes[SCOPE.format(direction, cell, "bias")] == (4 * lstm.dim,)
            projection = SCOPE.format(direction, cell, "projection/kernel")
            assert shapes[projection] == (lstm.dim, lstm.projection_dim)
    assert shapes["bilm/CNN/W_cnn_2"] == (1, 3, 4, 5)
    assert shapes["aggregation/weights"] == (3,)
    assert shapes["aggregation/scaling"] == ()
    assert len(shapes) == len(bilm.weights) + 2 + 1  # and the object graph


def test_variables_have_the_published_names_and_can_be_trained(module: Any) -> None:
    default = module.signatures["default"]
    assert "bilm/CNN/W_cnn_0:0" in [variable.name for variable in default.variables]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(default(tf.constant(SENTENCES))["elmo"]))
    gradients = tape.gradient(loss, default.trainable_variables)
    assert len(gradients) == len(default.variables)
    assert all(gradient is not None for gradient in gradients)


def test_a_model_server_loads_it(bilm: Any, written: Path) -> None:
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.loader.load(session, ["serve"], str(written)).signature_def["default"]
        found = session.run(
            signature.outputs["elmo"].name, {signature.inputs["strings"].name: np.array(SENTENCES, object)}
        )
    np.testing.assert_allclose(found, expected(bilm, SENTENCES)["elmo"], atol=1e-6)


def test_the_mix_of_a_module_is_found_again(written: Path, tmp_path: Path) -> None:
    found = Aggregation.of_module(written, 3)
    np.testing.assert_array_equal(found.weights, MIX.weights)
    assert found.scaling == pytest.approx(1.7)
    for directory, num_layers in ((written, 4), (tmp_path, 4)):
        plain = Aggregation.of_module(directory, num_layers)
        assert (plain.weights.tolist(), plain.scaling) == ([0.0] * 4, 1.0)


def test_other_numbers_of_layers_have_as_many_outputs(tmp_path: Path) -> None:
    bilm = tiny_bilm(tiny_options(lstm={"num_layers": 1}))
    write_hub_module(bilm, Aggregation(np.zeros(2, np.float32)), tmp_path / "module")
    outputs = tf.saved_model.load(str(tmp_path / "module")).signatures["tokens"].structured_outputs
    assert sorted(outputs) == ["default", "elmo", "lstm_outputs1", "word_emb"]
