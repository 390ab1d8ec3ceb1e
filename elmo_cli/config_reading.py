"""Reads any tree of dataclasses from YAML and from ``key=value`` texts; knows no key by name.

A dataclass whose fields are dataclasses is a tree; every leaf has a dotted key such as ``training.epochs``.
Numbers and words are read as YAML 1.2 does: ``1e-3`` is a number, ``no`` and ``on`` are words.
"""

import dataclasses
import difflib
import os
import re
import types
import typing
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from elmo_cli.errors import ConfigError

Settings = TypeVar("Settings")

BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
NULLS = ("", "null", "~")
FLOAT = r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+|[-+]?\.inf|\.nan"
SCALARS: tuple[tuple[str, str, list[str]], ...] = (  # name, pattern, possible first characters
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", [*"-+0123456789"]),
    ("float", FLOAT, [*"-+.0123456789"]),
    ("null", r"null|Null|NULL|~|", [*"nN~", ""]),
)


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars above, that refuses a key given twice."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (PyYAML's own name; filled below)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Builds one mapping; PyYAML itself would silently keep the last of two equal keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands here twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """SafeDumper that also quotes what only `_Loader` takes for a number; lists on one line."""


def _represent_list(dumper: yaml.SafeDumper, items: Any) -> yaml.Node:
    """Writes ``[mean, max]``."""
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


for _name, _pattern, _first in SCALARS:
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})\\Z"), _first)
for _type in (list, tuple):
    _Dumper.add_representer(_type, _represent_list)


def leaf_types(settings: type[Any], prefix: str = "") -> dict[str, Any]:
    """Returns the dotted key and the annotation of every leaf of a tree of dataclasses, in order."""
    leaves: dict[str, Any] = {}
    for name, annotation in typing.get_type_hints(settings).items():
        if dataclasses.is_dataclass(annotation):
            leaves.update(leaf_types(typing.cast(type[Any], annotation), f"{prefix}{name}."))
        else:
            leaves[prefix + name] = annotation
    return leaves


def read_file(path: str | Path, settings: type[Any]) -> dict[str, Any]:
    """Reads a YAML file into values of the right types by dotted key; absent keys stay absent.

    Raises:
        ConfigError: For a file that cannot be read, is no YAML (the line is named), holds an unknown key
            (the nearest valid one is named) or a value of the wrong type.
    """
    try:
        tree = yaml.load(Path(path).read_bytes(), _Loader)
    except OSError as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error.strerror}.") from error
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a YAML text file: {str(error).splitlines()[0]}.") from error
    leaves = leaf_types(settings)
    try:
        return {key: read_value(key, value, leaves[key]) for key, value in _flatten(tree, leaves)}
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_override(key: str, value: Any, settings: type[Any]) -> Any:
    r"""Reads the value of one key as a command line gives it: text, or a value made of it already.

    Text is read by the type its key has. Where text is wanted it is taken as it stands, so that ``007``,
    ``,`` and ``C:\data`` need no quotes; quotes around it are removed, and nothing or ``null`` means None
    where that is allowed.

    Raises:
        ConfigError: For an unknown key or a value of the wrong type.
    """
    annotation = _leaf(key, leaf_types(settings))
    if isinstance(value, str):
        options = _options(annotation)
        # A tilde may be what stands between cells.
        if value in NULLS and type(None) in options and not (value == "~" and str in options):
            return None
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            try:
                value = yaml.load(value, _Loader)
            except yaml.YAMLError as error:
                raise ConfigError(f"{key}: {value} is not well quoted.") from error
    return read_value(key, value, annotation)


def read_value(key: str, value: Any, annotation: Any) -> Any:
    """Returns the value in the type its key has: numbers from text, tuples from lists and ``a,b``.

    Raises:
        ConfigError: Names key, received value and what is allowed.
    """
    for option in _options(annotation):
        try:
            return _read_as(value, option)
        except ValueError:
            continue
    raise ConfigError(f"{key} must be {_describe(annotation)}; received {value!r}.")


def build(settings: type[Settings], values: Mapping[str, Any], prefix: str = "") -> Settings:
    """Builds a tree of dataclasses from values by dotted key; absent keys keep their defaults."""
    arguments = {}
    for name, annotation in typing.get_type_hints(settings).items():
        if dataclasses.is_dataclass(annotation):
            arguments[name] = build(typing.cast(type[Any], annotation), values, f"{prefix}{name}.")
        elif prefix + name in values:
            arguments[name] = values[prefix + name]
    return settings(**arguments)


def write_yaml(settings: Any) -> str:
    """Returns a tree of dataclasses as YAML text, keys in the order of their fields."""
    tree = dataclasses.asdict(settings)
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


def _flatten(tree: Any, leaves: Mapping[str, Any], prefix: str = "") -> typing.Iterator[tuple[str, Any]]:
    """Yields dotted keys and raw values; a section without content counts as empty."""
    if tree is None:
        return
    if not isinstance(tree, Mapping):
        name = f"{prefix[:-1]} is a section and" if prefix else "a configuration"
        raise ConfigError(f"{name} must hold lines such as {_example(prefix, leaves)}; received {tree!r}.")
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if any(leaf.startswith(f"{key}.") for leaf in leaves):
            yield from _flatten(value, leaves, f"{key}.")
        else:
            _leaf(key, leaves)
            yield key, value


def _leaf(key: str, leaves: Mapping[str, Any]) -> Any:
    """Returns the annotation of a key, or raises ConfigError with the nearest valid key."""
    if key in leaves:
        return leaves[key]
    section = [leaf for leaf in leaves if leaf.startswith(f"{key}.")]
    if section:
        raise ConfigError(f"{key} is a section; give one of its keys: {', '.join(section)}.")

    def likeness(candidate: str) -> float:
        pairs = ((key, candidate), (key.split(".")[-1], candidate.split(".")[-1]))
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    candidates = [*leaves, *dict.fromkeys(leaf.rpartition(".")[0] for leaf in leaves if "." in leaf)]
    raise ConfigError(f"unknown key {key}; did you mean {max(candidates, key=likeness)}?")


def _example(prefix: str, leaves: Mapping[str, Any]) -> str:
    """Returns one line that may stand in a section (or, without one, a top-level line)."""
    names = [leaf.removeprefix(prefix) for leaf in leaves if leaf.startswith(prefix)]
    return f'"{next((name for name in names if "." not in name), names[0])}: ..."'


def _options(annotation: Any) -> tuple[Any, ...]:
    """Returns the members of a union, or the annotation alone."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _read_as(value: Any, option: Any) -> Any:
    """Returns the value as one plain type; raises ValueError when it is none of that type."""
    members = typing.get_args(option)
    if typing.get_origin(option) is Literal and isinstance(value, str) and value in members:
        return value
    if typing.get_origin(option) is tuple:
        return tuple(_read_as(item, members[0]) for item in _items(value))
    if option is type(None) and value is None:
        return None
    if option is bool and isinstance(value, bool):
        return value
    if option is bool and isinstance(value, str) and value.lower() in BOOLEANS:
        return BOOLEANS[value.lower()]
    if isinstance(value, bool):  # Python counts True as an int
        raise ValueError
    if option is int and (isinstance(value, int) or (isinstance(value, str) and value.isascii())):
        return int(value)
    if option is float and isinstance(value, int | float | str):
        return float(value)
    if option is str and isinstance(value, str | int | os.PathLike):
        return str(value)
    raise ValueError


def _items(value: Any) -> list[Any]:
    """Returns the values of a list, of ``a,b``, ``[a, b]``, of one value, of nothing or ``none``."""
    if value is None:
        return []
    if isinstance(value, str):
        inner = value.strip().removeprefix("[").removesuffix("]").strip()
        return [] if inner in ("", "none") else [item.strip() for item in inner.split(",")]
    return list(value) if isinstance(value, list | tuple) else [value]


def _describe(annotation: Any) -> str:
    """Says in words what an annotation allows."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    allowed = []
    for option in _options(annotation):
        members = typing.get_args(option)
        if typing.get_origin(option) is Literal:
            allowed.append(f"one of {', '.join(members)}" if len(members) > 1 else members[0])
        elif typing.get_origin(option) is tuple:
            allowed.append(f"a list, each {words[members[0]]}")
        else:
            allowed.append(words[option])
    return " or ".join(allowed)
