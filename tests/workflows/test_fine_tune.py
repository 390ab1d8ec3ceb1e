"""elmo-train --trainable top|all and --bundle-elmo: the run contains its ELMo."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tiny_run import invoke, write_elmo

from elmo_cli import Predictor
from elmo_cli.classifier.fine_tuning import FineTuning
from elmo_cli.elmo.embedder import load_embedder
from elmo_cli.elmo.source import resolve
from elmo_cli.workflows.fine_tune import _trainable
from elmo_cli.workflows.run_directory import RunDirectory

FEW = ["--epochs", "2", "--batch-size", "8", "--set", "fine_tuning.unfreeze=0", "--fine-tuning-epochs", "1"]
KEPT = [*FEW, "--set", "fine_tuning.keep=always"]


def write_papers(elmo: Path) -> None:
    (elmo / "LICENSE").write_text("Ours.\n")
    (elmo / "MODEL_CARD.md").write_text("# An ELMo of ours\n")


def check_exported_with_papers(run: Path, output: Path) -> str:
    """Exports the ELMo of a run; returns its card."""
    result = invoke("export", run, "--to", "hdf5", "-o", output)
    assert result.exit_code == 0, result.output
    assert (output / "LICENSE").read_text() == "Ours.\n"
    card = (output / "MODEL_CARD.md").read_text()
    assert "# An ELMo of ours" in card
    return card


@pytest.fixture(scope="module")
def fine_tuned(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a fine-tuned run and the ELMo it began with, both to be copied before they change."""
    directory = tmp_path_factory.mktemp("fine-tuned")
    shutil.copytree(tiny / "elmo", directory / "elmo")
    write_papers(directory / "elmo")
    result = invoke(
        "train",
        *(tiny / "train.csv", "--test", tiny / "test.csv", "-o", directory / "run"),
        *("--elmo", directory / "elmo", "--trainable", "all", *KEPT),
    )
    assert result.exit_code == 0, result.output
    (directory / "output.txt").write_text(result.output)
    return directory


def test_it_says_what_learned_and_which_layers_the_task_used(fine_tuned: Path):
    output = (fine_tuned / "output.txt").read_text()
    assert "Fine-tuning all layers of ELMo: 1 epoch" in output
    assert "rows are few to fine-tune an ELMo on" in output
    assert "layer mix:" in output
    record = RunDirectory(fine_tuned / "run").read_record()
    assert sum(record["layer_mix"]["weights"]) == pytest.approx(1, abs=1e-5)
    assert record["seconds"]["fine-tuning"] >= 0
    assert record["epochs"] == 3
    assert record["fine_tuned"]
    assert "fine-tuned as a whole" in (fine_tuned / "run" / "MODEL_CARD.md").read_text()


def test_it_contains_what_the_elmo_became(fine_tuned: Path):
    own = resolve(str(RunDirectory(fine_tuned / "run").own_elmo))
    assert own.fingerprint != resolve(str(fine_tuned / "elmo")).fingerprint
    saved = json.loads((fine_tuned / "run" / "model" / "model.json").read_text())
    assert saved["elmo"]["fingerprint"] == own.fingerprint


def test_what_the_elmo_became_has_the_licence_and_the_card_of_what_it_was(fine_tuned: Path, tmp_path: Path):
    run, first = fine_tuned / "run", resolve(str(fine_tuned / "elmo"))
    card = (run / "model" / "elmo" / "MODEL_CARD.md").read_text()
    assert "# ELMo fine-tuned by elmo-train" in card
    assert first.fingerprint in card
    assert "# Text classifier" in (run / "MODEL_CARD.md").read_text()
    assert card.strip() in check_exported_with_papers(run, tmp_path / "exported")
    result = invoke("export", run, "--to", "serving", "-o", tmp_path / "served")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "served" / "assets.extra" / "LICENSE").read_text() == "Ours.\n"


def test_what_the_elmo_became_goes_out_in_every_format(fine_tuned: Path, tiny: Path, tmp_path: Path):
    run = fine_tuned / "run"
    own = resolve(str(RunDirectory(run).own_elmo))
    for form in ("hub", "hdf5", "serving"):
        result = invoke("export", run, "--to", form, "-o", tmp_path / form)
        assert result.exit_code == 0, result.output
    texts = pd.read_csv(tiny / "test.csv")["text"].tolist()
    wanted = layers_of(own.path, texts)
    assert np.abs(wanted - layers_of(fine_tuned / "elmo", texts)).max() > 1e-3  # it has learned
    for form in ("hub", "hdf5"):
        np.testing.assert_allclose(layers_of(tmp_path / form, texts), wanted, atol=1e-5)
    outputs = tf.saved_model.load(str(tmp_path / "hub")).signatures["default"](tf.constant(texts))
    np.testing.assert_allclose(outputs["lstm_outputs2"], wanted[:, 2], atol=1e-5)
    served = tf.saved_model.load(str(tmp_path / "serving")).signatures["serving_default"]
    predicted = Predictor(run, proba=True, precision="float32")(pd.DataFrame({"text": texts}))
    np.testing.assert_allclose(
        served(texts=tf.constant(texts))["probabilities"],
        predicted.filter(like="probability_of").to_numpy(),
        atol=1e-5,
    )


def layers_of(elmo: Path, texts: list[str]) -> np.ndarray:
    return load_embedder(resolve(str(elmo)), "float32")(tf.constant(texts))[0].numpy()


def test_moved_and_without_the_first_elmo_it_predicts_the_same_to_the_last_bit(
    fine_tuned: Path, tiny: Path, tmp_path: Path
):
    moved = shutil.copytree(fine_tuned / "run", tmp_path / "elsewhere")
    table = pd.read_csv(tiny / "test.csv")
    here, there = (
        Predictor(run, proba=True)(table).filter(like="probability_of").to_numpy()
        for run in (fine_tuned / "run", moved)
    )
    np.testing.assert_array_equal(here, there)
    # What was said before anything was saved and read back.
    written = pd.read_csv(fine_tuned / "run" / "predictions" / "test.csv", dtype=str)
    np.testing.assert_array_equal(written["probability"].astype(np.float32), here.max(axis=1))


def test_without_what_its_elmo_became_it_says_where_that_was(fine_tuned: Path, tiny: Path, tmp_path: Path):
    run = shutil.copytree(fine_tuned / "run", tmp_path / "run")
    shutil.rmtree(run / "model" / "elmo")
    saved = json.loads((run / "model" / "model.json").read_text())
    saved["elmo"]["handle"] = str(run / "model" / "elmo")
    (run / "model" / "model.json").write_text(json.dumps(saved))
    result = invoke("predict", run, tiny / "test.csv")
    assert result.exit_code == 4
    assert "not there any more" in result.output
    assert "--elmo" in result.output


def test_a_run_whose_fine_tuning_is_not_kept_is_that_of_a_frozen_elmo(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(FineTuning, "least_accuracy", lambda *_: 1.5)
    runs = {trainable: tmp_path / trainable for trainable in ("mix", "all")}
    for trainable, run in runs.items():
        arguments = ["--elmo", tiny / "elmo", "--trainable", trainable, *FEW]
        result = invoke("train", tiny / "train.csv", "-o", run, *arguments)
        assert result.exit_code == 0, result.output
    assert "The ELMo stays as it was, with an accuracy of" in result.output
    frozen, tuned = (RunDirectory(run).read_record() for run in runs.values())
    assert not tuned["fine_tuned"]
    assert tuned["epochs"] == frozen["epochs"] + 1
    for key in ("best_epoch", "learned_valid", "tfidf", "layer_mix"):
        assert tuned[key] == frozen[key]
    assert not RunDirectory(runs["all"]).own_elmo.exists()
    assert "fine-tuned weights were not kept" in (runs["all"] / "MODEL_CARD.md").read_text()
    metrics = [RunDirectory(run).metrics.read_text() for run in runs.values()]
    assert metrics[0] == metrics[1]
    table = pd.read_csv(tiny / "test.csv")
    found = [Predictor(run, proba=True)(table).filter(like="probability_of") for run in runs.values()]
    np.testing.assert_array_equal(*found)


def test_a_run_that_goes_on_without_what_its_elmo_became_can_be_used(
    fine_tuned: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = shutil.copytree(fine_tuned / "run", tmp_path / "run")
    assert RunDirectory(run).own_elmo.is_dir()
    monkeypatch.setattr(FineTuning, "least_accuracy", lambda *_: 1.5)
    arguments = ["--elmo", fine_tuned / "elmo", "--trainable", "all", *KEPT, "--epochs", "3", "--resume"]
    result = invoke("train", tiny / "train.csv", "--test", tiny / "test.csv", "-o", run, *arguments)
    assert result.exit_code == 0, result.output
    assert not RunDirectory(run).own_elmo.exists()
    result = invoke("predict", run, tiny / "test.csv")
    assert result.exit_code == 0, result.output


def test_with_more_epochs_before_it_fine_tuning_begins_anew(fine_tuned: Path, tiny: Path, tmp_path: Path):
    resumed, whole = shutil.copytree(fine_tuned / "run", tmp_path / "resumed"), tmp_path / "whole"
    arguments = [tiny / "train.csv", "--elmo", fine_tuned / "elmo", "--trainable", "all", *KEPT]
    for run, further in ((resumed, ["--resume"]), (whole, [])):
        result = invoke(
            "train", *arguments, "--test", tiny / "test.csv", "-o", run, "--epochs", "4", *further
        )
        assert result.exit_code == 0, result.output
        assert RunDirectory(run).read_record()["epochs"] == 5
    probabilities = [
        Predictor(run, proba=True)(pd.read_csv(tiny / "test.csv")).filter(like="probability_of")
        for run in (resumed, whole)
    ]
    np.testing.assert_array_equal(*probabilities)
    folders = [folder.name for folder in (RunDirectory(resumed).checkpoints / "fine_tuning").iterdir()]
    assert folders == ["after_epoch_4"]


def test_in_bfloat16_it_begins_with_the_weights_of_the_file_not_with_rounded_ones(tiny: Path):
    source = resolve(str(tiny / "elmo"))
    exact, rounded = (_trainable(load_embedder(source, precision)) for precision in ("float32", "bfloat16"))
    assert rounded.compute_dtype == "bfloat16"
    for weight, expected in zip(rounded.get_weights(), exact.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_hub_module_without_gradients_is_refused(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from classifier.tiny_embedder import TinyEmbedder

    from elmo_cli.workflows import train as workflow

    monkeypatch.setattr(workflow, "load_embedder", lambda *_: TinyEmbedder())
    run = tmp_path / "run"
    result = invoke(
        "train", tiny / "train.csv", "-o", run, "--elmo", tiny / "elmo", "--trainable", "top", *FEW
    )
    assert result.exit_code == 2
    assert "has no gradient in TensorFlow 2" in result.output
    assert not run.exists()


def test_a_run_that_bundles_its_elmo_needs_nothing_else(tiny: Path, tmp_path: Path):
    elmo = write_elmo(tmp_path / "elmo", seed=11)
    write_papers(elmo)
    fingerprint = resolve(str(elmo)).fingerprint
    arguments = [tiny / "train.csv", "-o", tmp_path / "run", "--elmo", elmo, "--epochs", "2"]
    result = invoke("train", *arguments, "--bundle-elmo")
    assert result.exit_code == 0, result.output
    shutil.rmtree(elmo)
    moved = shutil.move(tmp_path / "run", tmp_path / "moved")
    result = invoke("predict", moved, "Snow on the hills.", "--format", "lines")
    assert result.exit_code == 0, result.output
    assert resolve(str(RunDirectory(moved).own_elmo)).fingerprint == fingerprint
    lost = shutil.copytree(moved, tmp_path / "lost")
    (lost / "model" / "elmo" / "weights.hdf5").unlink()
    result = invoke("predict", lost, "Snow on the hills.")
    assert result.exit_code == 4
    assert "has lost a part of the ELMo that it contains, or it is damaged" in result.output
    assert f"That was a copy of {elmo}: give that with --elmo" in result.output
    (lost / "model" / "elmo" / "weights.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n cut")
    result = invoke("predict", lost, "Snow on the hills.")
    assert result.exit_code == 4
    assert f"That was a copy of {elmo}: give that with --elmo" in result.output
    assert "# Text classifier" in (moved / "MODEL_CARD.md").read_text()
    check_exported_with_papers(moved, tmp_path / "exported")


def test_a_run_that_does_not_names_what_to_fetch(tiny: Path, tmp_path: Path):
    elmo = write_elmo(tmp_path / "elmo", seed=12)
    result = invoke("train", tiny / "train.csv", "-o", tmp_path / "run", "--elmo", elmo, "--epochs", "2")
    assert result.exit_code == 0, result.output
    shutil.rmtree(elmo)
    result = invoke("predict", tmp_path / "run", "Snow on the hills.")
    assert result.exit_code == 4
    assert str(elmo) in result.output
    write_elmo(elmo, seed=13)
    result = invoke("predict", tmp_path / "run", "Snow on the hills.")
    assert result.exit_code == 2
    assert "fingerprint" in result.output
