"""The files in configs/: each loads, and the commented default is the default."""

from pathlib import Path

import pytest
import yaml

from elmo_cli.config import RunConfig
from elmo_cli.config_reading import leaf_types
from elmo_cli.config_yaml import load_config

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
FILES = sorted(CONFIGS.glob("*.yaml"))


def test_there_is_one_for_each_way_of_use() -> None:
    names = {path.stem for path in FILES}
    assert names >= {"default", "bundled", "google-elmo-frozen", "google-elmo-mix", "allennlp"}


def test_the_commented_default_is_the_default_and_names_every_key() -> None:
    path = CONFIGS / "default.yaml"
    assert load_config(path) == RunConfig()
    tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    keys = [
        f"{section}.{name}" if isinstance(content, dict) else section
        for section, content in tree.items()
        for name in (content if isinstance(content, dict) else [""])
    ]
    assert sorted(keys) == sorted(leaf_types(RunConfig))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_file_loads_and_says_what_for_and_how(path: Path) -> None:
    load_config(path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert f"--config configs/{path.name}" in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_tables_named_in_a_file_are_there(path: Path, project: Path) -> None:
    data = load_config(path).data
    for table in (data.train, data.valid, data.test):
        assert table is None or (project / table).is_file()


def test_the_ways_of_use_are_what_their_names_say() -> None:
    frozen, mix = (
        load_config(CONFIGS / "google-elmo-frozen.yaml"),
        load_config(CONFIGS / "google-elmo-mix.yaml"),
    )
    assert frozen.elmo.handle == mix.elmo.handle == "https://tfhub.dev/google/elmo/3"
    assert (frozen.elmo.trainable, mix.elmo.trainable) == ("none", "mix")
    assert load_config(CONFIGS / "bundled.yaml").elmo.handle == "bundled"
    assert load_config(CONFIGS / "allennlp.yaml").elmo.handle.endswith(".hdf5")
