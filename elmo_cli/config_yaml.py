"""A run's configuration from YAML and overrides, and back to YAML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elmo_cli import config_reading
from elmo_cli.config import RunConfig
from elmo_cli.errors import ConfigError


def load_config(path: str | Path | None = None, overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """Builds a checked configuration from the defaults, a YAML file and overrides, in that order.

    The file must be valid by itself; an override does not repair it.

    Args:
        path: YAML file; its keys are those of `RunConfig`, nested.
        overrides: Dotted key to value, for example ``{"training.epochs": 5}``. A string is read by the
            type of its key: ``"5"`` becomes a number where one is expected, ``"mean,max"`` a tuple, and
            ``"null"`` (or nothing) becomes None where that is allowed.

    Returns:
        The configuration, validated.

    Raises:
        ConfigError: For an unreadable file, an unknown key, or a value of the wrong type or range; it names
            file, dotted key, received value and what is allowed.
    """
    values: dict[str, Any] = {}
    if path is not None:
        values = config_reading.read_file(path, RunConfig)
        try:
            config_reading.build(RunConfig, values)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
    for key, value in (overrides or {}).items():
        values[key] = config_reading.read_override(key, value, RunConfig)
    return config_reading.build(RunConfig, values)


def parse_override(text: str) -> tuple[str, str]:
    """Splits ``"training.epochs=5"`` into key and value; raises ConfigError without a ``=``."""
    key, equals, value = text.partition("=")
    if not (equals and key.strip()):
        raise ConfigError(f"a setting is written key=value, such as training.epochs=5; received {text!r}.")
    return key.strip(), value


def to_yaml(config: RunConfig) -> str:
    """Returns the configuration as YAML that `load_config` reads back to an equal one."""
    return config_reading.write_yaml(config)
