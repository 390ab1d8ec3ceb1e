"""A biLM's variables ↔ the HDF5 file that AllenNLP and bilm-tf read and write."""

import io
from pathlib import Path

import h5py
import keras
import numpy as np

from elmo_cli.bilm.network import BiLM
from elmo_cli.errors import SourceError

# The end of an LSTM's weight's name in a weight file -> the same in a checkpoint.
_LSTM_NAMES = {
    "/LSTMCell/W_0": "/rnn/lstm_cell/kernel",
    "/LSTMCell/B": "/rnn/lstm_cell/bias",
    "/LSTMCell/W_P_0": "/rnn/lstm_cell/projection/kernel",
}


def hdf5_names(bilm: BiLM) -> dict[str, keras.Variable]:
    """Maps each name in an ELMo weight file to the variable that holds its values.

    Shapes are equal on both sides but for the convolutions, which stand in the file with a leading
    dimension of 1. Gate order and forget bias are the file's own (see `ProjectedLSTMCell`).

    Args:
        bilm: A built network.

    Returns:
        Names such as ``CNN/W_cnn_0`` to variables, in the file's order.
    """
    cnn = bilm.character_cnn
    names = {"char_embed": cnn.character_embedding}
    for i, (kernel, bias) in enumerate(zip(cnn.kernels, cnn.biases, strict=True)):
        names |= {f"CNN/W_cnn_{i}": kernel, f"CNN/b_cnn_{i}": bias}
    for i, highway in enumerate(cnn.highways):
        names |= {
            f"CNN_high_{i}/W_carry": highway.carry_kernel,
            f"CNN_high_{i}/b_carry": highway.carry_bias,
            f"CNN_high_{i}/W_transform": highway.transform_kernel,
            f"CNN_high_{i}/b_transform": highway.transform_bias,
        }
    names |= {"CNN_proj/W_proj": cnn.projection_kernel, "CNN_proj/b_proj": cnn.projection_bias}
    for direction, cells in enumerate((bilm.forward_cells, bilm.backward_cells)):
        for layer, cell in enumerate(cells):
            folder = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
            names |= {
                f"{folder}/W_0": cell.kernel,
                f"{folder}/B": cell.bias,
                f"{folder}/W_P_0": cell.projection_kernel,
            }
    return names


def checkpoint_name(name: str) -> str:
    """Returns what the checkpoint of a TensorFlow Hub module calls a weight of an ELMo weight file.

    Args:
        name: As `hdf5_names` gives it, such as ``RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell/W_0``.

    Reference: the variables of https://tfhub.dev/google/elmo/3, which was built by bilm-tf's `model.py`, in
    the scope ``bilm``, with the `LSTMCell` of TensorFlow 1.2 and later.
    """
    for ours, published in _LSTM_NAMES.items():
        name = name.replace(ours, published)
    return f"bilm/{name}"


def checkpoint_names(bilm: BiLM) -> dict[str, keras.Variable]:
    """Maps each name in the checkpoint of a published module to the variable that holds its values.

    Shapes are equal on both sides but for two: convolutions stand in a checkpoint as in a weight file, with
    a leading dimension of 1, and ``bilm/char_embed`` may have 262 rows there (see `elmo.hub.variables`).

    Args:
        bilm: A built network.

    Returns:
        Names such as ``bilm/CNN/W_cnn_0`` to variables, in the order of `hdf5_names`.
    """
    return {checkpoint_name(name): variable for name, variable in hdf5_names(bilm).items()}


def read_weights(bilm: BiLM, path: Path) -> None:
    """Fills a network with the weights of a file, of any floating-point precision.

    Args:
        bilm: The network; it is built if it is not yet.
        path: The HDF5 file.

    Raises:
        SourceError: If the file cannot be read, lacks a weight, or holds one of another shape.
    """
    bilm.build()
    try:
        with h5py.File(path, "r") as file:
            values = {name: _read(file, name, variable, path) for name, variable in hdf5_names(bilm).items()}
    except OSError as error:
        raise SourceError(f"{path}: not a readable HDF5 file ({error}).") from error
    for name, variable in hdf5_names(bilm).items():
        variable.assign(values[name])


def write_weights(bilm: BiLM, path: Path, *, dtype: str = "float32") -> None:
    """Writes a network's weights as AllenNLP and bilm-tf do.

    Args:
        bilm: A built network.
        path: The file to make; write it beside its place and move it (`files.atomic_path`).
        dtype: Floating-point type on disk: ``float32``, or ``float16`` for half the size. Biases of LSTMs
            are always float32: AllenNLP's reader adds the forget gate's 1 in the type of the file.

    Raises:
        ValueError: If a weight is not finite or too large for `dtype`.
        OSError: If the file cannot be written.
    """
    # Made in memory: where the disk is full, HDF5's own writing crashes while Python's says so.
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, variable in hdf5_names(bilm).items():
            on_disk = "float32" if _is_lstm_bias(name) else dtype
            with np.errstate(over="ignore"):
                value = keras.ops.convert_to_numpy(variable).astype(on_disk)
            if not np.isfinite(value).all():
                raise ValueError(f"{name} holds values that {dtype} cannot hold")
            file[name] = value[None] if name.startswith("CNN/W_") else value
    path.write_bytes(content.getbuffer())


def is_half_precision(path: Path) -> bool:
    """Whether the weights of a readable file are float16, so that float16 holds them without loss.

    Those that `write_weights` always writes in float32 do not count.
    """
    dtypes: set[np.dtype] = set()

    def note(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and not _is_lstm_bias(name):
            dtypes.add(item.dtype)

    with h5py.File(path, "r") as file:
        file.visititems(note)
    return dtypes == {np.dtype(np.float16)}


def _is_lstm_bias(name: str) -> bool:
    return name.endswith("/B")


def _read(file: h5py.File, name: str, variable: keras.Variable, path: Path) -> np.ndarray:
    if not isinstance(file.get(name), h5py.Dataset):
        raise SourceError(
            f'{path}: there is no weight "{name}". The options ask for it; '
            "do options.json and weight file belong together?"
        )
    value = file[name][...]
    if name.startswith("CNN/W_") and value.ndim == 4:
        value = value[0]
    if tuple(value.shape) != tuple(variable.shape):
        raise SourceError(
            f'{path}: weight "{name}" has the shape {tuple(value.shape)}, the options ask for '
            f"{tuple(variable.shape)}. Do options.json and weight file belong together?"
        )
    if not np.isfinite(value).all():
        raise SourceError(f'{path}: weight "{name}" holds values that are not finite; the file is damaged.')
    return value.astype("float32", copy=False)
