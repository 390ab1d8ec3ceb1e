"""The variables in a TensorFlow Hub module's checkpoint → the shape and the weights of a biLM."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import trackable_object_graph_pb2

from elmo_cli.bilm.characters import NUM_CHARACTERS
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.options import BiLMOptions, CharacterCNNOptions, LSTMOptions
from elmo_cli.bilm.weights import checkpoint_name, hdf5_names

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"

# What names may be -> the weight's name in AllenNLP's HDF5 file, numbers in the order in which they stand.
# bilm-tf names its cells in one way where it reads a trained model, in another where it trains one, and in a
# third before TensorFlow 1.2.
_CELL = r"(?:.*/)?RNN_([01])/(?:RNN/MultiRNNCell/Cell|rnn/multi_rnn_cell/cell_)(\d+)/"
_CELL_OF_OURS = "RNN_{}/RNN/MultiRNNCell/Cell{}/LSTMCell/"
_PUBLISHED = {
    r"(?:.*/)?CNN/W_cnn_(\d+)": "CNN/W_cnn_{}",
    r"(?:.*/)?CNN/b_cnn_(\d+)": "CNN/b_cnn_{}",
    _CELL + "(?:(?:rnn/)?lstm_cell/kernel|LSTMCell/W_0)": _CELL_OF_OURS + "W_0",
    _CELL + "(?:(?:rnn/)?lstm_cell/bias|LSTMCell/B)": _CELL_OF_OURS + "B",
    _CELL + "(?:(?:rnn/)?lstm_cell/projection/kernel|LSTMCell/W_P_0)": _CELL_OF_OURS + "W_P_0",
    "(?:.*/)?char_embed": "char_embed",
    r"(?:.*/)?CNN_high_(\d+)/(W|b)_(carry|transform)": "CNN_high_{}/{}_{}",
    "(?:.*/)?CNN_proj/(W|b)_proj": "CNN_proj/{}_proj",
}
# Of these the published names were never seen: other names with these words in them are tried as well.
_LIKELY = {
    r"(?i:.*(?:char|embed).*)": "char_embed",
    r"(?i:.*high)\D*(\d+).*(carry|transform).*": "CNN_high_{}/{kind}_{}",
    r"(?i:(?!.*rnn).*proj.*)": "CNN_proj/{kind}_proj",
}


class NotABiLMError(ValueError):
    """Says why a module's variables are not those of a biLM, as a clause without a full stop."""


@dataclass(frozen=True)
class ModuleWeights:
    """The weights of a biLM as a module's checkpoint has them.

    Args:
        options: The shape that the variables have; clips, activation and skip connections, which no
            variable tells, are those of the published models.
        values: float32, by the names of `hdf5_names` and in the shapes of its variables, but for
            ``char_embed``, which may have a row more.
    """

    options: BiLMOptions
    values: Mapping[str, NDArray[np.float32]]

    @property
    def num_spare_rows(self) -> int:
        """Rows of ``char_embed`` beyond those of the 261 characters: 0 or 1."""
        return len(self.values["char_embed"]) - NUM_CHARACTERS

    def assign_to(self, bilm: BiLM, first_row: int) -> None:
        """Gives the weights to a network of these options.

        Args:
            bilm: It is built if it is not yet.
            first_row: Row of ``char_embed`` that belongs to character 0.
        """
        bilm.build()
        for name, variable in hdf5_names(bilm).items():
            value = self.values[name]
            if name == "char_embed":
                value = value[first_row : first_row + NUM_CHARACTERS]
            variable.assign(value)


def read_variables(directory: Path) -> ModuleWeights:
    """Reads the variables of a module, by their names and shapes.

    Args:
        directory: Of the module, in the TF1-Hub format or a TF2 SavedModel; its variables stand in
            ``variables/``. In front of a name anything may stand, as ``bilm/`` does.

    Raises:
        NotABiLMError: If one is missing, has another shape, or could be one of several.

    Reference: names as bilm-tf's `model.py` gives them and as users of google/elmo see them in their logs.
    """
    if not (directory / "variables" / "variables.index").is_file():
        raise NotABiLMError("it has no variables")
    with _readable():
        reader = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
        dtypes, all_shapes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
        names = _names(reader, all_shapes)
    shapes = {
        key: tuple(shape)
        for key, shape in all_shapes.items()
        if dtypes[key].is_floating and ".OPTIMIZER_SLOT" not in key
    }
    found = _find(names, shapes)
    options = _options(found, shapes)
    bilm = BiLM(options, "zeros")
    bilm.build()
    chosen = {
        name: _choose(name, tuple(variable.shape), found.get(name, ()), shapes)
        for name, variable in hdf5_names(bilm).items()
    }
    with _readable():
        values = {name: reader.get_tensor(key).astype(np.float32) for name, key in chosen.items()}
    for name, value in values.items():
        if not np.isfinite(value).all():
            raise NotABiLMError(f"variable {chosen[name]} holds numbers that are not finite")
    return ModuleWeights(options, {name: _squeezed(name, value) for name, value in values.items()})


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Turns the many errors of TensorFlow's reader for a damaged file into ours."""
    try:
        yield
    except (tf.errors.OpError, RuntimeError, LookupError, ValueError) as error:
        raise NotABiLMError(f"its variables cannot be read ({str(error).splitlines()[0]})") from error


def _names(reader: Any, keys: Iterable[str]) -> dict[str, set[str]]:
    """What each key of a checkpoint may be called: its path, or its path and name in an object graph."""
    names = {
        # In the path of an object ".S" stands for "/" and ".." for ".".
        key: {re.sub(r"\.([S.])", lambda sign: "/" if sign[1] == "S" else ".", key.removesuffix(_VALUE))}
        for key in keys
    }
    if reader.has_tensor(_OBJECT_GRAPH):
        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        graph.ParseFromString(reader.get_tensor(_OBJECT_GRAPH))
        for attribute in (attribute for node in graph.nodes for attribute in node.attributes):
            if attribute.checkpoint_key in names and attribute.full_name:
                names[attribute.checkpoint_key].add(attribute.full_name)
    return names


def _find(names: Mapping[str, set[str]], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[str, ...]]:
    """Finds for each weight the keys whose name fits; the shape is not looked at yet."""
    found = _matches(_PUBLISHED, names, shapes)
    return _matches(_LIKELY, names, shapes) | found


def _matches(
    patterns: Mapping[str, str], names: Mapping[str, set[str]], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for key in shapes:
        kind = "W" if len(shapes[key]) > 1 else "b"
        ours = {
            template.format(*match.groups(), kind=kind)
            for pattern, template in patterns.items()
            for name in names[key]
            if (match := re.fullmatch(pattern, name))
        }
        for name in ours:
            found[name] = (*found.get(name, ()), key)
    return found


def _options(found: Mapping[str, tuple[str, ...]], shapes: Mapping[str, tuple[int, ...]]) -> BiLMOptions:
    """Infers the shape of the network from those weights whose shape leaves no choice."""

    def shape_of(name: str, rank: int) -> tuple[int, ...]:
        several = {_squeezed_shape(name, shapes[key]) for key in found.get(name, ())}
        of_rank = [shape for shape in several if len(shape) == rank]
        if not several:
            raise NotABiLMError(f"it has no variable {checkpoint_name(name)}")
        if len(of_rank) != 1:
            raise NotABiLMError(f"{checkpoint_name(name)} has the shape {_listed(several)}")
        return of_rank[0]

    cell = "RNN_0/RNN/MultiRNNCell/Cell{}/LSTMCell/W_P_0"
    kernels = [shape_of(f"CNN/W_cnn_{i}", 3) for i in range(max(1, _count("CNN/W_cnn_{}", found)))]
    dim, projection_dim = shape_of(cell.format(0), 2)
    try:
        return BiLMOptions(
            CharacterCNNOptions(
                embedding_dim=kernels[0][1],
                filters=tuple((width, number) for width, _, number in kernels),
                num_highway=_count("CNN_high_{}/W_carry", found),
            ),
            LSTMOptions(dim=dim, projection_dim=projection_dim, num_layers=_count(cell, found)),
        )
    except ValueError as error:
        raise NotABiLMError(f"its variables have impossible shapes ({error})") from error


def _count(template: str, found: Mapping[str, Any]) -> int:
    """How many weights there are whose names differ by a number; the greatest number and 1."""
    pattern = re.escape(template).replace(r"\{\}", r"(\d+)")
    numbers = [int(match[1]) for name in found if (match := re.fullmatch(pattern, name))]
    return max(numbers, default=-1) + 1


def _choose(
    name: str, wanted: tuple[int, ...], keys: tuple[str, ...], shapes: Mapping[str, tuple[int, ...]]
) -> str:
    """Picks the one key that fits a weight by name and shape."""
    allowed = {wanted, (wanted[0] + 1, *wanted[1:])} if name == "char_embed" else {wanted}
    fitting = [key for key in keys if _squeezed_shape(name, shapes[key]) in allowed]
    if not keys:
        raise NotABiLMError(f"it has no variable {checkpoint_name(name)}")
    if not fitting:
        has = ", ".join(f"{key} {shapes[key]}" for key in keys)
        raise NotABiLMError(f"{checkpoint_name(name)} should have the shape {_listed(allowed)}; it has {has}")
    if len(fitting) > 1:
        raise NotABiLMError(f"{checkpoint_name(name)} could be any of {', '.join(sorted(fitting))}")
    return fitting[0]


def _squeezed_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the leading 1 that convolutions have in a checkpoint."""
    return shape[1:] if name.startswith("CNN/W_") and len(shape) == 4 and shape[0] == 1 else shape


def _squeezed(name: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
    return value.reshape(_squeezed_shape(name, value.shape))


def _listed(shapes: set[tuple[int, ...]]) -> str:
    return " or ".join(map(str, sorted(shapes)))
