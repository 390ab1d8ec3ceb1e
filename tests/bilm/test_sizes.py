"""Shapes that have a name: as large as they are said to be, and AllenNLP's where they bear its names."""

from pathlib import Path

import pytest

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions
from elmo_cli.bilm.sizes import SIZES, options_of_size
from elmo_cli.errors import ConfigError, SourceError


def published(dim: int, projection_dim: int, num_highway: int) -> dict:
    """The options.json of AllenNLP's ELMo of that width."""
    return {
        "lstm": {
            "use_skip_connections": True,
            "projection_dim": projection_dim,
            "cell_clip": 3,
            "proj_clip": 3,
            "dim": dim,
            "n_layers": 2,
        },
        "char_cnn": {
            "activation": "relu",
            "filters": [[1, 32], [2, 32], [3, 64], [4, 128], [5, 256], [6, 512], [7, 1024]],
            "n_highway": num_highway,
            "embedding": {"dim": 16},
            "n_characters": 262,
            "max_characters_per_token": 50,
        },
    }


@pytest.mark.parametrize(
    ("size", "shape"), [("small", (1024, 128, 1)), ("medium", (2048, 256, 1)), ("original", (4096, 512, 2))]
)
def test_sizes_with_published_names_have_the_published_shapes(size: str, shape: tuple[int, int, int]) -> None:
    assert SIZES[size] == BiLMOptions.from_dict(published(*shape))


@pytest.mark.parametrize(("size", "millions"), [("mini", 6.0), ("small", 13.6), ("medium", 28.0)])
def test_sizes_have_as_many_parameters_as_is_said(size: str, millions: float) -> None:
    bilm = BiLM(SIZES[size], "zeros")
    bilm.build()
    # The published counts leave out the 262 vectors of characters or not; that is 0.004 M.
    assert bilm.count_params() / 1e6 == pytest.approx(millions, abs=0.06)


def test_a_size_is_a_name_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text(SIZES["tiny"].to_json())
    assert options_of_size("medium") == SIZES["medium"]
    assert options_of_size(str(path)) == SIZES["tiny"]
    with pytest.raises(ConfigError, match=r"tiny, mini, small, medium, original\) nor the path"):
        options_of_size("huge")
    path.write_text("{}")
    with pytest.raises(SourceError, match=r"options\.json: not the options"):
        options_of_size(str(path))
