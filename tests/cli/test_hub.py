"""What users of a TensorFlow Hub module are told, and get."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hub_module import write_hub_module
from tiny_run import invoke

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.weights import read_weights
from elmo_cli.elmo.embedder import load_embedder
from elmo_cli.elmo.source import resolve


@pytest.fixture
def bilm(tiny: Path) -> BiLM:
    bilm = BiLM(BiLMOptions.from_json(tiny / "elmo" / "options.json"))
    read_weights(bilm, tiny / "elmo" / "weights.hdf5")
    return bilm


def test_a_module_of_the_published_kind_trains_and_predicts_as_its_weights_do(
    bilm: BiLM, tiny: Path, tmp_path: Path
) -> None:
    module = write_hub_module(bilm, tmp_path / "module")
    (module / "LICENSE").write_text("Ours.\n")
    (module / "MODEL_CARD.md").write_text("A module of ours.\n")
    # As the run of the fixture was trained.
    options = ["--epochs", "4", "--batch-size", "8", "--learning-rate", "0.02", "--test", tiny / "test.csv"]
    run = tmp_path / "hub"
    result = invoke("train", tiny / "train.csv", "--elmo", module, "-o", run, *options, "--bundle-elmo")
    assert result.exit_code == 0, result.output
    assert f"ELMo {module} is native from now on" in result.output
    predictions = [run / "predictions" / "test.csv" for run in (tmp_path / "hub", tiny / "run")]
    assert predictions[0].read_bytes() == predictions[1].read_bytes()
    # The run names the module, not what became of it in the cache.
    saved = json.loads((tmp_path / "hub" / "model" / "model.json").read_text())["elmo"]
    assert saved == {"handle": str(module), "fingerprint": resolve(str(module)).fingerprint}
    # What is exported of it goes on with the module's licence and card.
    result = invoke("export", run, "--to", "hdf5", "-o", tmp_path / "exported")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "exported" / "LICENSE").read_text() == "Ours.\n"
    assert "A module of ours." in (tmp_path / "exported" / "MODEL_CARD.md").read_text()
    result = invoke("export", module, "--to", "hub", "-o", tmp_path / "again")
    assert result.exit_code == 0, result.output
    texts = tf.constant(["Snow fell on the harbour .", "Salt"])
    first, exported, again = (
        load_embedder(resolve(str(place)), "float32")(texts)[0]
        for place in (module, tmp_path / "exported", tmp_path / "again")
    )
    np.testing.assert_allclose(exported, first, atol=1e-5)
    np.testing.assert_allclose(again, first, atol=1e-5)
    # It has a copy of the module, and needs neither that nor its own former place.
    shutil.rmtree(module)
    moved = shutil.move(run, tmp_path / "moved")
    result = invoke("predict", moved, "Snow fell on the harbour.")
    assert result.exit_code == 0, result.output
    assert "native from now on" not in result.output


def test_a_module_that_our_network_cannot_compute_has_no_other_precision(
    bilm: BiLM, tiny: Path, tmp_path: Path
) -> None:
    other = BiLM(replace(bilm.options, char_cnn=replace(bilm.options.char_cnn, activation="tanh")))
    other.build()
    other.set_weights(bilm.get_weights())
    module = write_hub_module(other, tmp_path / "module")
    options = ["--elmo", module, "-o", tmp_path / "run", "--precision", "bfloat16"]
    result = invoke("train", tiny / "train.csv", *options)
    assert result.exit_code == 2
    assert (
        f"ELMo {module} runs through the module's own graph, slower and frozen: its layer 0 is not what "
        in (result.output)
    )
    assert f"--precision bfloat16: the module {module} computes in the precision it was made in" in (
        result.output
    )
    assert "Traceback" not in result.output
