"""The ELMo that a run keeps, beside the head that was trained on it."""

import shutil

from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.weights import write_weights
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import RunError
from elmo_cli.files import atomic_path, write_text
from elmo_cli.workflows.run_directory import RunDirectory


def write_elmo(bilm: BiLM, directory: RunDirectory) -> None:
    """Writes a network as ``--elmo`` reads it, without rounding.

    Raises:
        RunError: When the directory cannot be written.
    """
    place = directory.own_elmo
    place.mkdir(parents=True, exist_ok=True)
    write_text(place / "options.json", bilm.options.to_json())
    with atomic_path(place / "weights.hdf5") as path:
        write_weights(bilm, path)


def copy_elmo(source: ElmoSource, directory: RunDirectory) -> None:
    """Copies the files of an ELMo, byte for byte: its fingerprint stays.

    Raises:
        RunError: When they cannot be read or written.
    """
    place = directory.own_elmo
    try:
        shutil.rmtree(place, ignore_errors=True)
        if source.options_path is None or source.weights_path is None:
            shutil.copytree(source.path, place)
            return
        place.mkdir(parents=True)
        shutil.copyfile(source.options_path, place / "options.json")
        shutil.copyfile(source.weights_path, place / "weights.hdf5")
    except OSError as error:
        raise RunError(
            f"{place}: the ELMo {source.handle} cannot be copied ({error.strerror or error}). Is the disk "
            "full?"
        ) from error
