"""Flags and keys of the configuration belong together."""

from typing import Any

import click
import pytest
from tiny_run import COMMANDS, invoke

from elmo_cli.cli import options
from elmo_cli.cli.train import main as train
from elmo_cli.config import RunConfig
from elmo_cli.config_reading import leaf_types

NO_FLAG = {
    "data.train",  # the argument
    "text.max_length_from",
    "elmo.batch_tokens",
    "elmo.memory_bytes",
    "classifier.layers",
    "classifier.mix_l2",
    *(key for key in leaf_types(RunConfig) if key.startswith("fine_tuning.") and key != "fine_tuning.epochs"),
}


def default(key: str) -> Any:
    value: Any = RunConfig()
    for name in key.split("."):
        value = getattr(value, name)
    return value


def settings(command: click.Command) -> dict[str, click.Option]:
    """Returns the options that override a key of the configuration, by that key."""
    keys = leaf_types(RunConfig)
    found = [(str(each.name).replace("__", "."), each) for each in command.params]
    return {key: each for key, each in found if isinstance(each, click.Option) and key in keys}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_dotted_flag_is_a_key(command: click.Command) -> None:
    dotted = {str(each.name).replace("__", ".") for each in command.params if "__" in str(each.name)}
    assert dotted <= set(leaf_types(RunConfig))


def test_every_key_but_the_rare_ones_has_a_flag() -> None:
    assert set(settings(train)) == set(leaf_types(RunConfig)) - NO_FLAG


@pytest.mark.parametrize("key", sorted(settings(train)))
def test_the_default_shown_is_the_default(key: str) -> None:
    flag, value = settings(train)[key], default(key)
    assert flag.default is None or not isinstance(flag.default, str)  # unset, so that files count
    _, _, shown = (flag.help or "").partition("[default: ")
    if value in (None, False):
        assert not shown
    elif isinstance(value, tuple):
        assert shown == (",".join(map(str, value)) or "none") + "]"
    else:
        assert shown == f"{value}]"


def test_a_flag_for_each_kind_of_value() -> None:
    flags = ["--hidden", "8,4", "--pool", "max", "--learning-rate", "1e-4", "--no-header", "--drop-empty"]
    flags += ["--max-length", "20", "--text-column", "2", "--delimiter", r"\t", "--class-weight", "balanced"]
    shown = invoke("train", *flags, "--print-config").stdout
    for line in (
        "hidden: [8, 4]",
        "pool: [max]",
        "learning_rate: 0.0001",
        "header: false",
        "quoting: null",
        "drop_empty: true",
        "drop_unlabelled: false",
        "max_length: 20",
        "text_column: '2'",
        r'delimiter: "\t"',
        "class_weight: balanced",
    ):
        assert f" {line}\n" in shown


def test_only_data_options_reach_a_table_that_is_not_trained_on() -> None:
    from pathlib import Path

    from elmo_cli.config import DataConfig

    trained = DataConfig(train="a.txt", delimiter=" ", header=False, text_column="3", validation_fraction=0.2)
    same = options.data_config({"data__text_column": "2"}, trained, Path("b.txt"))
    assert same == DataConfig(delimiter=" ", header=False, text_column="2")
    assert options.data_config({}, trained, Path("b.csv")) == DataConfig()
    assert options.data_config({}, trained, None) == DataConfig()
