"""Which files make a whole model: a TensorFlow Hub module, or options.json with HDF5 weights."""

import json
import mmap
import re
from pathlib import Path

from elmo_cli.elmo.fetching.first_bytes import looks_like
from elmo_cli.elmo.fetching.known import another_network
from elmo_cli.errors import SourceError

OPTIONS_PATTERN = "*options.json"
WEIGHTS_SUFFIXES = (".hdf5", ".h5")

_SHARD = re.compile(r"variables\.data-(\d+)-of-(\d+)")
# Operations of graphs that have variables, in TensorFlow 1 and 2; a constant module has none of them.
_VARIABLE_OPERATIONS = (b"VariableV2", b"VarHandleOp")
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
# Where the superblock says at which address the file ends: version -> offset, for addresses of 8 bytes.
# HDF5 File Format Specification 3.0, section II.A.
_HDF5_END = {0: 40, 1: 44, 2: 28, 3: 28}
_FILES_OF_MANY_LANGS = {"encoder.pkl", "token_embedder.pkl"}  # https://github.com/HIT-SCIR/ELMoForManyLangs


def model_directory(directory: Path, name: str) -> Path:
    """Finds the model in a directory: in itself, or in the only directory inside it.

    Args:
        directory: An existing directory.
        name: What messages call the model.

    Returns:
        The directory that holds ``saved_model.pb``, or options.json and HDF5 weights.

    Raises:
        SourceError: When there is no model, or files of it are missing.
    """
    if (directory / "saved_model.pb").is_file():
        _check_module(directory, name)
        return directory
    inside = _visible(directory)
    if any(path.match(OPTIONS_PATTERN) for path in inside) and any(
        path.suffix in WEIGHTS_SUFFIXES for path in inside
    ):
        return directory
    if len(inside) == 1 and inside[0].is_dir():
        return model_directory(inside[0], name)
    names = [path.name for path in inside]
    if not _FILES_OF_MANY_LANGS.isdisjoint(names):
        raise another_network(name)
    seen = f"{', '.join(names[:10]) or 'nothing'}{', ...' if len(names) > 10 else ''}"
    raise SourceError(
        f"ELMo {name}: neither saved_model.pb (a TensorFlow Hub module) nor options.json with HDF5 weights "
        f"(AllenNLP, NLPL) is in {directory}; found there: {seen}."
    )


def options_files(directory: Path) -> list[Path]:
    """Finds the options of the models in a directory: ``options.json`` alone, or all that end like it."""
    plain = directory / "options.json"
    return (
        [plain] if plain.is_file() else [file for file in _visible(directory) if file.match(OPTIONS_PATTERN)]
    )


def with_partner(handle: str, path: Path) -> tuple[Path, Path]:
    """Finds options and weights from the path of either.

    Args:
        handle: What messages call the model.
        path: The options.json or the weights; the other is found beside it by its name.

    Returns:
        (options, weights).

    Raises:
        SourceError: When the other is not there, or several files may be it.
    """
    for name in partner_names(path.name):
        if (partner := path.with_name(name)).is_file():
            return (path, partner) if path.suffix == ".json" else (partner, path)
    if path.suffix == ".json":
        found = [file for file in _visible(path.parent) if file.suffix in WEIGHTS_SUFFIXES]
        weights = [file for file in found if "weights" in file.stem] or found
        if len(weights) == 1:
            return path, weights[0]
        seen = f"; {', '.join(file.name for file in found)} are there" if found else ""
        looked_for = f"weights in HDF5 ({' or '.join(partner_names(path.name)) or 'weights.hdf5'})"
    else:
        if (options := path.with_name("options.json")).is_file():
            return options, path
        seen, looked_for = "", f"options ({', '.join([*partner_names(path.name), 'options.json'])})"
    raise SourceError(
        f"ELMo {handle}: no {looked_for} found beside {path}{seen}. Give both: OPTIONS.json,WEIGHTS.hdf5."
    )


def partner_names(name: str) -> list[str]:
    """Returns the names that the other file of AllenNLP's pair may have, the likeliest first."""
    stem, _, suffix = name.rpartition(".")
    if suffix == "json" and stem.endswith("options"):
        return [stem.removesuffix("options") + "weights" + ending for ending in WEIGHTS_SUFFIXES]
    if suffix != "json" and stem.endswith("weights"):
        return [stem.removesuffix("weights") + "options.json"]
    return []


def check_content(directory: Path, name: str) -> None:
    """Checks what `model_directory` found a little deeper, before it is kept.

    Raises:
        SourceError: When an options.json or HDF5 file is something else, or weights were cut.
    """
    if (directory / "saved_model.pb").is_file():
        return
    for path in _visible(directory):
        if path.match(OPTIONS_PATTERN):
            check_json(path, f"ELMo {name}: {path.name}")
        elif path.suffix in WEIGHTS_SUFFIXES:
            check_hdf5(path, f"ELMo {name}: {path.name}")


def check_json(path: Path, name: str) -> None:
    """Raises SourceError when a file is not a JSON object."""
    content = path.read_bytes()
    try:
        good = isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        good = False
    if not good:
        raise SourceError(f"{name} is {looks_like(content[:64])}, not a JSON object. Check the address.")


def check_hdf5(path: Path, name: str) -> None:
    """Raises SourceError when a file is not HDF5, or shorter than it says itself."""
    with path.open("rb") as file:
        head = file.read(64)
    if not head.startswith(_HDF5_MAGIC):
        raise SourceError(f"{name} is {looks_like(head)}, not an HDF5 file. Check the address.")
    offset = _HDF5_END.get(head[8]) if len(head) >= 64 else None
    if offset is None:
        return
    if head[13 if head[8] < 2 else 9] == 8:  # bytes of an address
        end, num_bytes = int.from_bytes(head[offset : offset + 8], "little"), path.stat().st_size
        if num_bytes < end:
            raise SourceError(f"{name} is incomplete: {num_bytes:,} of {end:,} bytes. Download it again.")


def _visible(directory: Path) -> list[Path]:
    """Lists a directory without what Finder and tar on a Mac put beside files (``._NAME``, ``__MACOSX``)."""
    return [path for path in sorted(directory.iterdir()) if path.name[0] != "." and path.name != "__MACOSX"]


def _check_module(directory: Path, name: str) -> None:
    """Raises SourceError when files of a module are missing or empty."""
    graph, variables = directory / "saved_model.pb", directory / "variables"
    present = {path.name: path for path in variables.iterdir()} if variables.is_dir() else {}
    shards = [match for match in map(_SHARD.fullmatch, present) if match]
    num_shards = int(shards[0].group(2)) if shards else 1
    # The number is a file name's, and may be any: a few missing ones are enough to name.
    numbers = range(min(num_shards, len(shards) + 10))
    wanted = {"variables.index", *(f"variables.data-{i:05d}-of-{num_shards:05d}" for i in numbers)}
    if not variables.is_dir() and not _has_variables(graph):
        wanted = set()
    if missing := sorted(wanted - set(present)):
        raise SourceError(
            f"ELMo {name}: the module is incomplete, {', '.join(missing)} missing in {variables}. "
            f"Download or copy it again."
        )
    for path in (graph, *(present[file] for file in sorted(wanted))):
        # A shard may be empty where there are several, or no variable at all.
        if not path.stat().st_size and not _SHARD.fullmatch(path.name):
            raise SourceError(
                f"ELMo {name}: the module is incomplete, {path} is empty. Download or copy it again."
            )


def _has_variables(graph: Path) -> bool:
    """Whether a graph reads variables."""
    if not graph.stat().st_size:
        return False
    with graph.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(content.find(operation) >= 0 for operation in _VARIABLE_OPERATIONS)
