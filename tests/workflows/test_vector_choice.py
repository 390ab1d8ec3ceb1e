"""Layers, pooling and type: what may be asked for, and what a text then becomes."""

import pytest

from elmo_cli.errors import ConfigError
from elmo_cli.workflows.vector_choice import VectorChoice


@pytest.mark.parametrize(
    ("layers", "pool", "shape"),
    [
        ("mix", "mean", (4,)),
        ("mix", "mean,max", (8,)),
        ("all", "max", (3, 4)),
        ("2", "mean", (4,)),
        ("2,0", "max,mean", (2, 8)),
        ("mix", "none", (None, 4)),
        ("all", "none", (3, None, 4)),
        ("0,2", "none", (2, None, 4)),
    ],
)
def test_a_text_becomes(layers: str, pool: str, shape: tuple[int | None, ...]) -> None:
    choice = VectorChoice(layers, pool)
    choice.check_possible("tiny", num_layers=3, token_level=True)
    assert choice.shape(num_layers=3, dim=4) == shape


@pytest.mark.parametrize("layers", ["", "top", "0,0", "-1", "1.5", "0,", "mix,1", "²"])
def test_other_layers_are_refused(layers: str) -> None:
    with pytest.raises(ConfigError, match="--layers must be mix, all, or numbers"):
        VectorChoice(layers)


@pytest.mark.parametrize("pool", ["", "attention", "mean,none", "mean,mean", "mean, max"])
def test_other_poolings_are_refused(pool: str) -> None:
    with pytest.raises(ConfigError, match="--pool must be none, mean, max or mean,max"):
        VectorChoice(pool=pool)


def test_another_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="--dtype must be float32 or float16; received 'int8'"):
        VectorChoice(dtype="int8")


@pytest.mark.parametrize(
    ("num_layers", "has"), [(3, "tiny has 3 layers, 0 to 2"), (1, "tiny has one layer, 0")]
)
def test_a_layer_that_is_not_there_is_refused(num_layers: int, has: str) -> None:
    with pytest.raises(ConfigError, match=f"--layers 0,3: there is no layer 3; {has}"):
        VectorChoice("0,3").check_possible("tiny", num_layers=num_layers, token_level=True)


@pytest.mark.parametrize("pool", ["none", "max", "mean,max"])
def test_where_a_text_has_one_vector_only_its_mean_can_be_had(pool: str) -> None:
    with pytest.raises(ConfigError, match=f"--pool {pool}: tiny gives one vector for a whole text"):
        VectorChoice(pool=pool).check_possible("tiny", num_layers=1, token_level=False)
    VectorChoice("all").check_possible("tiny", num_layers=1, token_level=False)
