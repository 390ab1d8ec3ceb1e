"""The ELMo that a run keeps, beside the head that was trained on it."""

import os
import secrets
import shutil
from pathlib import Path

from elmo_cli import __version__
from elmo_cli.bilm.network import BiLM
from elmo_cli.bilm.weights import write_weights
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import RunError
from elmo_cli.files import atomic_path, write_text, writing
from elmo_cli.workflows.papers import CARD_FILE, LICENCE_FILE, copy_beside, said_by
from elmo_cli.workflows.run_directory import RunDirectory


def write_elmo(bilm: BiLM, directory: RunDirectory, began_with: ElmoSource) -> None:
    """Writes a network as ``--elmo`` reads it, without rounding; licence and card go along.

    Args:
        bilm: The network, fine-tuned.
        directory: That of the run.
        began_with: The ELMo that it was.

    Raises:
        RunError: When the directory cannot be written.
    """
    place = directory.own_elmo
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        copy_beside(LICENCE_FILE, began_with, place)
    write_text(place / CARD_FILE, _card(began_with))
    write_text(place / "options.json", bilm.options.to_json())
    with atomic_path(place / "weights.hdf5") as path:
        write_weights(bilm, path)


def copy_elmo(source: ElmoSource, directory: RunDirectory) -> None:
    """Copies the files of an ELMo, byte for byte: its fingerprint stays; licence and card go along.

    Another ELMo that is there is removed once the copy is complete; the ELMo itself stays where it is.

    Raises:
        RunError: When they cannot be read or written.
    """
    place = directory.own_elmo
    if _lies_in(place, source):
        return
    beside = place.with_name(f".tmp-{secrets.token_hex(4)}-{place.name}")
    try:
        if source.options_path is None or source.weights_path is None:
            shutil.copytree(source.path, beside)
        else:
            beside.mkdir(parents=True)
            shutil.copyfile(source.options_path, beside / "options.json")
            shutil.copyfile(source.weights_path, beside / "weights.hdf5")
            for name in (LICENCE_FILE, CARD_FILE):
                copy_beside(name, source, beside)
        shutil.rmtree(place, ignore_errors=True)
        os.replace(beside, place)
    except OSError as error:
        raise RunError(
            f"{place}: the ELMo {source.handle} cannot be copied ({error.strerror or error}). Is the disk "
            "full?"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def remove_elmo(directory: RunDirectory, unless: ElmoSource) -> None:
    """Removes the ELMo that an earlier training left in a run, but never that on which the run stands."""
    place = directory.own_elmo
    if not _lies_in(place, unless):
        shutil.rmtree(place, ignore_errors=True)


def _lies_in(place: Path, source: ElmoSource) -> bool:
    # What a module became lies in the cache; the module itself is what a run keeps.
    module = (source.path / "saved_model.pb").is_file()
    return all(
        Path(os.path.realpath(path)).is_relative_to(os.path.realpath(place))
        for path in ([source.path] if module else source.files())
    )


def _card(began_with: ElmoSource) -> str:
    """Returns the card of a fine-tuned ELMo as Markdown, that of the ELMo it was included."""
    lines = [
        f"# ELMo fine-tuned by elmo-train {__version__}",
        "",
        f"It was `{began_with.handle}`, fingerprint `{began_with.fingerprint}`, whose weights then learned "
        "the task of the run that this directory belongs to.",
        "",
        "## Licence",
        "",
        "That of the ELMo it was; the texts it learned from are those of the run.",
        *said_by(began_with.path, "ELMo it was"),
    ]
    return "\n".join(lines) + "\n"
