"""Modules of TensorFlow 1 whose variables are references get variables that TensorFlow 2 can save again.

A reference variable lives in the session that runs its graph; around a graph that is put into another one
there is none, and the variable stays uninitialised. So the graph is taken without its variables, and their
values come in from outside.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

_VARIABLES = ("Variable", "VariableV2")
_TABLES = ("HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2")


class TableError(ValueError):
    """A module has lookup tables beside its reference variables."""


def has_reference_variables(directory: Path) -> bool:
    """Whether the graph for inference of the module in a directory has reference variables."""
    return any(node.op in _VARIABLES for node in _inference_graph(directory).graph_def.node)


def lift_variables(directory: Path, target: Path) -> None:
    """Writes a module again, with the same signatures and values, in the format of TensorFlow 2.

    Args:
        directory: Of a module with reference variables.
        target: The directory to make.

    Raises:
        TableError: When the module has lookup tables, which would need the same.
        OSError, tf.errors.OpError: When something cannot be read or written.
    """
    meta = _inference_graph(directory)
    graph_def = _needed_graph(meta)
    if any(node.op in _TABLES for node in graph_def.node):
        raise TableError("it has lookup tables beside its reference variables")
    names = [node.name for node in graph_def.node if node.op in _VARIABLES]
    root = tf.Module(name="module")
    root.lifted = {name: tf.Variable(value, name=name) for name, value in _values(directory, meta, names)}
    _make_room(graph_def)
    graph = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph_def, name=""), [])
    signatures = {
        key: _signature(graph, definition, root.lifted)
        for key, definition in meta.signature_def.items()
        if definition.inputs and definition.outputs
    }
    tf.saved_model.save(root, str(target), signatures=signatures)


def _inference_graph(directory: Path) -> meta_graph_pb2.MetaGraphDef:
    """The graph that is not for training."""
    model = saved_model_pb2.SavedModel()
    model.ParseFromString((directory / "saved_model.pb").read_bytes())
    return next(
        (graph for graph in model.meta_graphs if "train" not in graph.meta_info_def.tags),
        model.meta_graphs[0],
    )


def _needed_graph(meta: meta_graph_pb2.MetaGraphDef) -> graph_pb2.GraphDef:
    """The nodes that the signatures need; those that restore and assign values are not among them."""
    nodes = {node.name: node for node in meta.graph_def.node}
    needed: set[str] = set()
    waiting = {
        tensor.name.partition(":")[0]
        for definition in meta.signature_def.values()
        for tensor in (*definition.inputs.values(), *definition.outputs.values())
    }
    while waiting:
        needed |= waiting
        inputs = {each for name in waiting for each in nodes[name].input}
        waiting = {each.removeprefix("^").partition(":")[0] for each in inputs} - needed
    graph_def = graph_pb2.GraphDef(versions=meta.graph_def.versions, library=meta.graph_def.library)
    graph_def.node.extend(node for node in meta.graph_def.node if node.name in needed)
    return graph_def


def _values(
    directory: Path, meta: meta_graph_pb2.MetaGraphDef, names: Iterable[str]
) -> list[tuple[str, np.ndarray]]:
    """The values of reference variables, with the names of their nodes."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        v1.saved_model.load(session, list(meta.meta_info_def.tags), str(directory))
        return list(session.run({name: f"{name}:0" for name in names}).items())


def _make_room(graph_def: graph_pb2.GraphDef) -> None:
    """Turns reference variables into places for values."""
    for node in graph_def.node:
        if node.op in _VARIABLES:
            place = node_def_pb2.NodeDef(name=node.name, op="Placeholder")
            for name in ("dtype", "shape"):
                place.attr[name].CopyFrom(node.attr[name])
            node.CopyFrom(place)


def _signature(graph: Any, definition: meta_graph_pb2.SignatureDef, variables: dict[str, tf.Variable]) -> Any:
    """A function that runs one signature of the graph with values from outside."""
    inside = graph.graph
    places = {name: inside.get_tensor_by_name(tensor.name) for name, tensor in definition.inputs.items()}
    values = [inside.get_tensor_by_name(f"{name}:0") for name in variables]
    outputs = {name: inside.get_tensor_by_name(tensor.name) for name, tensor in definition.outputs.items()}
    pruned = graph.prune([*places.values(), *values], outputs)

    def run(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        given = [inputs[name] for name in places]
        found = pruned(*given, *(tf.identity(variable) for variable in variables.values()))
        # The graph forgets what the signature knows of widths.
        return {
            name: tf.ensure_shape(value, tf.TensorShape(definition.outputs[name].tensor_shape))
            for name, value in found.items()
        }

    specifications = {
        name: tf.TensorSpec(place.shape, place.dtype, name=name) for name, place in places.items()
    }
    return tf.function(run, autograph=False).get_concrete_function(**specifications)
