"""The native embedder: what it reads in batches is what its graph gives."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tiny_run import write_elmo

from elmo_cli.elmo.embedder import Embedder, load_embedder
from elmo_cli.elmo.source import resolve

TEXTS = [
    "It 's a naïve test .",
    "",
    "a  b",
    " ",
    "🙂 " + "x" * 60,
    "tab\there",
    "No",
    "the the cat sat on the mat",
]


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def embedder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    folder = tmp_path_factory.mktemp("elmo")
    write_elmo(folder)
    return load_embedder(resolve(str(folder)), request.param)


def test_the_reader_gives_what_the_graph_gives(embedder):
    tolerance = 1e-6 if embedder.precision == "float32" else 0.02
    rows = np.array([7, 0, 3, 1, 2, 6, 5, 4])
    found, mask = embedder.reader(np.array(TEXTS, object))(rows)
    expected, expected_mask = embedder(tf.constant([TEXTS[row] for row in rows]))
    assert found.dtype == "float32"
    np.testing.assert_array_equal(mask, expected_mask)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def test_a_text_of_ten_thousand_words_is_read(embedder):
    words = " ".join(["one", "two", "three"] * 3334)
    layers, mask = embedder.reader(np.array([words, "one"], object))(np.array([0]))
    assert layers.shape[2] == mask.shape[1] == 10_002
    assert np.isfinite(layers).all()


def test_gates_are_compiled_where_there_is_much_to_read(embedder, monkeypatch):
    monkeypatch.setattr("elmo_cli.elmo.bilm_embedder.WORTH_COMPILING", 10 * embedder.bilm.options.lstm.dim)
    embedder.reader(np.array(["one"], object))
    asked, layers = [], embedder._frozen.layers

    def watched(*batch: Any, compiled: bool) -> Any:
        asked.append(compiled)
        return layers(*batch, compiled=compiled)

    monkeypatch.setattr(embedder._frozen, "layers", watched)
    for number in (9, 10):
        embedder.reader(np.array(["one " * (number - 1) + "two"], object))(np.array([0]))
    assert asked == [False, True]
