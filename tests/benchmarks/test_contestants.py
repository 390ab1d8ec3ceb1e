"""What benchmarks/encode.py times against each other computes the same."""

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions

OPTIONS = BiLMOptions(
    CharacterCNNOptions(4, ((1, 4), (2, 8), (7, 8)), num_highway=2), LSTMOptions(16, 8, num_layers=2)
)
# Clips that take hold, and everything that can be left out left out.
OTHER_OPTIONS = BiLMOptions(
    replace(OPTIONS.char_cnn, num_highway=0, activation="tanh", max_characters_per_token=9),
    replace(OPTIONS.lstm, cell_clip=0.2, projection_clip=0.1, use_skip_connections=False),
)
TEXTS = ["It 's a naïve test .", "No", "🙂 " + "x" * 60, "", "the cat sat on the mat , again", "No"]


@pytest.fixture(scope="module")
def contestants(project: Path) -> Iterator[ModuleType]:
    """The package, which the scripts in benchmarks/ find beside them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project / "benchmarks")
        yield importlib.import_module("contestants")


@pytest.fixture(scope="module", params=[OPTIONS, OTHER_OPTIONS], ids=["as published", "plain, tight clips"])
def weights(
    contestants: ModuleType, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    from contestants.random_weights import write_random_elmo

    return write_random_elmo(request.param, tmp_path_factory.mktemp("weights") / "elmo")


@pytest.fixture(scope="module")
def expected(weights: Path) -> np.ndarray:
    from contestants.ours import ours

    return ours(weights, "float32")(TEXTS)


def test_the_recipe_of_tensorflow_1_gives_our_vectors(weights: Path, expected: np.ndarray) -> None:
    from contestants.tf1_recipe import TF1Recipe

    recipe = TF1Recipe(weights)
    close = {"rtol": 0, "atol": 1e-6 * np.abs(expected).max()}
    np.testing.assert_allclose(recipe.encode(TEXTS), expected, **close)
    np.testing.assert_allclose(recipe.encode(TEXTS[:2], padded_to=11), expected[:2], **close)


def test_the_network_in_pytorch_gives_our_vectors(weights: Path, expected: np.ndarray) -> None:
    pytest.importorskip("torch")
    from contestants.torch_bilm import TorchBiLM

    found = TorchBiLM(weights).encode(TEXTS).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_shapes_have_the_size_they_are_known_for(contestants: ModuleType) -> None:
    from contestants.random_weights import SHAPES

    original = SHAPES["original"]
    assert original.char_cnn.num_filters == 2048
    assert (original.lstm.dim, original.lstm.projection_dim, original.num_layers) == (4096, 512, 3)
    assert json.loads(original.to_json())["char_cnn"]["n_highway"] == 2


def test_batches_hold_every_text_once(contestants: ModuleType) -> None:
    from contestants.texts import batches

    texts = ["a b", "c", "d e f", "g", "h i"]
    assert batches(texts, 2) == [["a b", "c"], ["d e f", "g"], ["h i"]]
    assert batches(texts, 2, by_length=True) == [["d e f", "a b"], ["h i", "c"], ["g"]]


@pytest.mark.parametrize("count", [1, 3, 7, 10, 20])
def test_drawn_batches_are_spread_evenly(contestants: ModuleType, count: int) -> None:
    from contestants.texts import spread

    drawn = spread(list(range(10)), count)
    assert len(drawn) == len(set(drawn)) == min(count, 10)
    assert max(np.diff([drawn[-1] - 10, *drawn])) <= 10 / count + 1


@pytest.mark.parametrize("as_published", [True, False])
def test_the_limit_counts_positions_distinct_words_and_characters(
    contestants: ModuleType, as_published: bool
) -> None:
    from contestants.products import products_of

    products = products_of(OPTIONS, ["a bc", "bc"], as_published=as_published)
    rows = {product.name: product.total_rows for product in products}
    # Two distinct words with two marks each: 3 and 4 characters; two highways.
    cnn = {"convolutions": 7, "highways": 4, "token projection": 2}
    # Two directions of two layers; 4 + 3 positions with the marks, 2 + 1 without.
    if as_published:
        assert rows == {**cnn, "gates of input and state": 28, "LSTM projection": 28}
    else:
        first_layer = {"gates of input, first layer": 4, "gates of state, first layer": 6}
        assert rows == {**cnn, **first_layer, "gates of input and state": 6, "LSTM projection": 12}
    gates = next(product for product in products if product.name == "gates of input and state")
    assert gates.shape[1:] == (16, 64)
    assert gates.gigaflop == pytest.approx(2e-9 * gates.total_rows * 16 * 64)
