"""What is exported gives elsewhere what it gives here."""

import csv
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from bilm.oracle import Oracle
from tiny_run import invoke

from elmo_cli.classifier import served_classifier
from elmo_cli.elmo.embedder import load_embedder
from elmo_cli.elmo.source import resolve
from elmo_cli.workflows.predict import Predictor

SERVER = Path(__file__).parents[1] / "served_process.py"
SETS = ("de_germeval18", "goemotions", "sms_spam", "movie_reviews_full", "trec")
ODD = [
    "",
    " ",
    "\t\n",
    " The soup was\tcold.\r\n\r\n",
    "x" * 3000,
    "a " * 500,
    "Fog\u00a0and\u3000frost\u2028until\x85noon.",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 loves \U0001f44d\U0001f3fd soup",
    "\ufeff\u201cSalt\u201d \u2014 don\u2019t!\u2026",
    "\ufffd\ufffd \ufffe \U0010ffff",
    "a\x00b\x01c\x7f",
    "\u0130STANBUL \u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3 STRA\xdfE \u01c5",
    "\u4f60\u597d\uff0c\u4e16\u754c! \u0645\u0631\u062d\u0628\u0627 e\u0301\u0302\u0303",
    "\\1 \\0 $1 ''quoted'' U.S. 3.14 http://a.b/c?d=e",
    "SALT SALT salt, Soup; the soup THE SOUP",
]


def train(tiny: Path, output: Path, *arguments: object) -> Path:
    result = invoke(
        "train", tiny / "train.csv", "--elmo", tiny / "elmo", "-o", output,
        "--epochs", "3", "--batch-size", "8", "--learning-rate", "0.02", *arguments,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    return output


def export(origin: object, form: str, output: Path) -> Path:
    result = invoke("export", origin, "--to", form, "-o", output)
    assert result.exit_code == 0, result.output
    return output


@pytest.fixture(scope="module")
def runs(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One run of each kind of graph."""
    everything = tmp_path_factory.mktemp("export") / "everything"
    options = ["--pool", "mean,max,attention", "--features", "elmo+tfidf", "--max-length", "7"]
    return {"plain": tiny / "run", "everything": train(tiny, everything, *options)}


@pytest.fixture(scope="module")
def texts(tiny: Path, project: Path) -> list[str]:
    """Texts we wrote, and a thousand real ones where they are there."""
    written = pd.read_csv(tiny / "train.csv")["text"].tolist() + ODD
    real: list[str] = []
    for name in SETS:
        path = project.parent / "shared" / "datasets" / name / "test.csv"
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as file:
                real += [row["text"][:400] for row, _ in zip(csv.DictReader(file), range(200), strict=False)]
    return written + real + [text.upper() for text in written]


@pytest.fixture(scope="module")
def exported(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The runs as SavedModels."""
    folder = tmp_path_factory.mktemp("exported")
    return {name: export(run, "serving", folder / name) for name, run in runs.items()}


@pytest.fixture(scope="module")
def served(
    exported: dict[str, Path], texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, np.ndarray]:
    """What a process without our package answers."""
    folder = tmp_path_factory.mktemp("served")
    request = {name: {"model": str(model), "texts": texts} for name, model in exported.items()}
    (folder / "request.json").write_text(json.dumps(request))
    arguments = [sysconfig.get_path("purelib"), folder / "request.json", folder / "answer.npz"]
    done = subprocess.run(
        [sys.executable, "-I", "-S", SERVER, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "tr_TR.UTF-8", "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "answer.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", ["plain", "everything"])
def test_a_server_without_the_package_says_what_predict_says(
    runs: dict[str, Path], texts: list[str], served: dict[str, np.ndarray], name: str
) -> None:
    predictor = Predictor(runs[name], proba=True, precision="float32")
    predicted = predictor(pd.DataFrame({"text": texts}))
    wanted = predicted[["probability_of_kitchen", "probability_of_sky"]].to_numpy()
    found = served[f"{name}/probabilities"]
    assert found.shape == (len(texts) + 2, 2)  # nothing for the batch without a text
    np.testing.assert_allclose(found[:-2], wanted, atol=1e-5)
    assert wanted.std(axis=0).min() > 0.01  # the texts are told apart
    np.testing.assert_array_equal(served[f"{name}/probability"], found.max(axis=1))
    sure = np.abs(wanted[:, 0] - 0.5) > 1e-5
    assert (served[f"{name}/label"][:-2] == predicted["predicted"])[sure].all()
    assert (served[f"{name}/classes"] == ["kitchen", "sky"]).all()
    # Bytes that are not UTF-8 are read as the sign for that.
    np.testing.assert_array_equal(found[-2], found[-1])


def test_long_texts_beside_short_ones_are_served_as_predict_says(
    run: Path, tiny: Path, tmp_path: Path
) -> None:
    assert (run / "model" / "tfidf.npz").is_file()
    preprocessor = json.loads((run / "preprocessor.json").read_text())
    (run / "preprocessor.json").write_text(json.dumps({**preprocessor, "max_tokens": 1000}))
    words = " ".join(pd.read_csv(tiny / "train.csv")["text"]).split()
    texts = ["Fog.", "", "Salt the soup!", "It rained.", "a"]
    texts += [" ".join(np.random.default_rng(seed).choice(words, 150 * seed)) for seed in range(1, 6)]
    served = tf.saved_model.load(str(export(run, "serving", tmp_path / "served")))
    found = served.signatures["serving_default"](texts=tf.constant(texts))["probabilities"]
    predicted = Predictor(run, proba=True, precision="float32")(pd.DataFrame({"text": texts}))
    wanted = predicted[["probability_of_kitchen", "probability_of_sky"]].to_numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert wanted[5:].std(axis=0).min() > 0.01  # the long texts are told apart


def test_a_run_is_served_with_its_card(runs: dict[str, Path], exported: dict[str, Path]) -> None:
    card = (exported["plain"] / "assets.extra" / "MODEL_CARD.md").read_text()
    assert "`classes`: string (B, C)" in card
    assert (runs["plain"] / "MODEL_CARD.md").read_text().strip() in card


@pytest.fixture(scope="module")
def module(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ELMo of a run as a Hub module."""
    return export(tiny / "run", "hub", tmp_path_factory.mktemp("hub") / "module")


def test_hub_takes_the_mix_of_the_run(tiny: Path, module: Path) -> None:
    variables = tf.train.load_checkpoint(str(module / "variables" / "variables"))
    found = {
        name: variables.get_tensor(f"aggregation/{name}/.ATTRIBUTES/VARIABLE_VALUE")
        for name in ("weights", "scaling")
    }
    mix = Predictor(tiny / "run").classifier.classifier.mix
    np.testing.assert_array_equal(found["weights"], mix.w.numpy())
    assert found["scaling"] == mix.gamma.numpy() != 1
    card = (module / "MODEL_CARD.md").read_text()
    assert resolve(str(tiny / "elmo")).fingerprint in card
    assert "That of the source" in card


def test_hub_is_read_back_as_the_same_elmo(tiny: Path, module: Path) -> None:
    sentences = tf.constant(["It rained on Monday .", "", "na\u00efve \U0001f642 " + "x" * 60])
    native, again = (load_embedder(resolve(str(place)), "float32") for place in (tiny / "elmo", module))
    (wanted, mask), (found, found_mask) = native(sentences), again(sentences)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_array_equal(found_mask, mask)


def weights_of(path: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: item[...]}) if isinstance(item, h5py.Dataset) else None
        )
    return found


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_hdf5_is_read_back_to_the_last_bit(tiny: Path, tmp_path: Path, dtype: str) -> None:
    origin = tmp_path / "origin"
    shutil.copytree(tiny / "elmo", origin)
    values = {name: value.astype(dtype) for name, value in weights_of(origin / "weights.hdf5").items()}
    with h5py.File(origin / "weights.hdf5", "w") as file:
        for name, value in values.items():
            file[name] = value
    (origin / "vocab.txt").write_text("the\n")
    (origin / "LICENSE").write_text("CC0\n")
    written = export(origin, "hdf5", tmp_path / "written")
    found = weights_of(written / "weights.hdf5")
    assert found.keys() == values.keys()
    for name, value in values.items():
        # AllenNLP's reader adds 1 to biases of LSTMs in the type of the file, which float16 would round.
        assert found[name].dtype == ("float32" if name.endswith("/B") else dtype)
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    options = [json.loads((place / "options.json").read_text()) for place in (origin, written)]
    assert options[0] == options[1]
    assert sorted(path.name for path in written.iterdir()) == [
        "LICENSE", "MODEL_CARD.md", "options.json", "vocab.txt", "weights.hdf5",
    ]  # fmt: skip


def check_read_by_an_independent_reader(written: Path, elmo: Path) -> None:
    reader = Oracle(written / "options.json", written / "weights.hdf5")
    tokens = ["Fog", "and", "frost", "\U0001f642", "x" * 60, "."]
    layers, _ = load_embedder(resolve(str(elmo)), "float32")(tf.constant([" ".join(tokens)]))
    np.testing.assert_allclose(layers[0], reader.layers(tokens), atol=1e-5)


def test_hdf5_of_a_run_is_read_by_an_independent_reader(tiny: Path, tmp_path: Path) -> None:
    written = export(tiny / "run", "hdf5", tmp_path / "written")
    check_read_by_an_independent_reader(written, tiny / "elmo")


def test_hdf5_of_half_precision_is_read_by_an_independent_reader(tiny: Path, tmp_path: Path) -> None:
    origin = shutil.copytree(tiny / "elmo", tmp_path / "origin")
    values = weights_of(origin / "weights.hdf5")
    with h5py.File(origin / "weights.hdf5", "w") as file:
        for name, value in values.items():
            # Biases as training leaves them: 1 and a little more, which float16 would not keep.
            file[name] = (value + 0.0123 if name.endswith("/B") else value).astype("float16")
    written = export(origin, "hdf5", tmp_path / "written")
    check_read_by_an_independent_reader(written, origin)


def test_what_allennlp_does_not_read_is_said(tiny: Path, tmp_path: Path) -> None:
    origin = shutil.copytree(tiny / "elmo", tmp_path / "origin")
    assert (
        "AllenNLP's `Elmo` refuses"
        not in (export(origin, "hdf5", tmp_path / "read") / "MODEL_CARD.md").read_text()
    )
    options = json.loads((origin / "options.json").read_text())
    options["lstm"]["use_skip_connections"] = False
    options["char_cnn"]["max_characters_per_token"] = 40
    (origin / "options.json").write_text(json.dumps(options))
    card = (export(origin, "hdf5", tmp_path / "not read") / "MODEL_CARD.md").read_text()
    assert "refuses a network without skip connections between its layers and with 40 characters" in card


def test_a_request_of_more_than_is_worked_on_at_once_is_served_as_predict_says(
    run: Path, tmp_path: Path, texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served_classifier, "_TOKENS_AT_ONCE", 25)
    served = tf.saved_model.load(str(export(run, "serving", tmp_path / "served")))
    found = served.signatures["serving_default"](texts=tf.constant(texts[:50]))["probabilities"]
    predicted = Predictor(run, proba=True, precision="float32")(pd.DataFrame({"text": texts[:50]}))
    wanted = predicted[["probability_of_kitchen", "probability_of_sky"]].to_numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
