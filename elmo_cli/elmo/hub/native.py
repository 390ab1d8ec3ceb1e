"""A TensorFlow Hub module of the published kind becomes options.json and HDF5 weights, once."""

import contextlib
import json
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from elmo_cli import files
from elmo_cli.bilm.weights import write_weights
from elmo_cli.counts import counted
from elmo_cli.elmo.embedder import Embedder
from elmo_cli.elmo.hub.probe import MAX_ERROR, Attempt, try_out
from elmo_cli.elmo.hub.variables import NotABiLMError, read_variables
from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import RunError

logger = logging.getLogger(__name__)

# Raised when modules are read, tried or computed in another way: what was found before is then found anew.
NATIVE_VERSION = 1
RECORD_FILE, OPTIONS_FILE, WEIGHTS_FILE = "native.json", "options.json", "weights.hdf5"


@dataclass(frozen=True)
class Verdict:
    """What became of a module, as it stands in the cache.

    Args:
        reason: Why the module's own graph must be used, as a clause; None where it became native.
        attempts: What was tried, one line each.
        checksums: SHA-256 of the files beside it, by their names.
    """

    reason: str | None
    attempts: tuple[str, ...] = ()
    checksums: tuple[tuple[str, str], ...] = ()


def native_source(source: ElmoSource, load: Callable[[], Embedder] | None = None) -> ElmoSource | None:
    """Finds the options and weights that our own network reads, for any source that has them.

    A module's variables are read by name and shape, and a probe goes through the module and our network. If
    they agree, the weights are kept in the cache directory under the module's fingerprint, so that the
    module's graph is not loaded again; that they do not agree is kept, too. Otherwise the user is told why.

    Args:
        source: From `elmo_cli.elmo.source.resolve`.
        load: Gives the embedder that runs the module through its own graph, for those who need it anyway.

    Returns:
        A source of kind ``bilm`` with ``options_path`` and ``weights_path``: the same one, or that of what
        a module became, with the module's handle, fingerprint and directory. None for a module that our
        network cannot compute.

    Raises:
        SourceError: When the module is damaged.
    """
    if source.kind == "bilm":
        return source
    try:
        place = files.cache_directory() / "native" / f"v{NATIVE_VERSION}" / source.fingerprint
        verdict = _recall(place)
        if verdict is None:
            with files.lock(place.with_name(f"{place.name}.lock")), _random_numbers_kept():
                verdict = _recall(place) or _convert(source, load or (lambda: load_module(source)), place)
    except (RunError, OSError) as error:  # the cache directory cannot be used
        verdict = Verdict(f"its weights cannot be kept ({error})")
    for attempt in verdict.attempts:
        logger.debug("ELMo %s, %s", source.handle, attempt)
    if verdict.reason is not None:
        logger.info(
            "ELMo %s runs through the module's own graph, slower and frozen: %s.",
            source.handle,
            verdict.reason,
        )
        return None
    return replace(source, kind="bilm", options_path=place / OPTIONS_FILE, weights_path=place / WEIGHTS_FILE)


@contextlib.contextmanager
def _random_numbers_kept() -> Iterator[None]:
    """Leaves Python's random numbers as they were.

    Keras draws a seed for every initial weight: a head that is made after a conversion would begin with other
    weights than one that is made where there is nothing to convert any more.
    """
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def load_module(source: ElmoSource) -> Embedder:
    """Loads a module that runs through its own graph; raises SourceError as `HubEmbedder` does."""
    from elmo_cli.elmo.hub.embedder import HubEmbedder

    return HubEmbedder.from_source(source)


def _recall(place: Path) -> Verdict | None:
    """What was found out before; None where nothing was, or its files are damaged or incomplete."""
    try:
        record = json.loads((place / RECORD_FILE).read_text(encoding="utf-8"))
        checksums = {str(name): str(digest) for name, digest in record["checksums"]}
        verdict = Verdict(record["reason"], tuple(map(str, record["attempts"])), tuple(checksums.items()))
        wanted = {OPTIONS_FILE, WEIGHTS_FILE} if verdict.reason is None else set()
        whole = set(checksums) == wanted and all(
            files.sha256(place / name) == digest for name, digest in checksums.items()
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.debug("%s cannot be read (%s); the module is looked at again", place, error)
        return None
    if not whole:
        logger.debug("%s is damaged; the module is looked at again", place)
        return None
    return verdict


def _convert(source: ElmoSource, load: Callable[[], Embedder], place: Path) -> Verdict:
    """Finds out what a module is, and writes that into its place in the cache; the record comes last."""
    with contextlib.suppress(OSError):
        for stray in place.glob(".tmp-*"):  # of a process that was killed; we hold the lock
            stray.unlink(missing_ok=True)
    attempts: list[Attempt] = []
    checksums: dict[str, str] = {}
    reason: str | None = None
    try:
        weights = read_variables(source.path)
        module, options = load(), weights.options
        if (module.num_layers, module.dim) != (options.num_layers, options.dim):
            raise NotABiLMError(
                f"it gives {counted(module.num_layers, 'layer')} of width {module.dim}, and its variables "
                f"are those of {options.num_layers} of width {options.dim}"
            )
        bilm, attempts = try_out(weights, module)
        if bilm is None:
            raise NotABiLMError(_why(attempts))
        with files.atomic_path(place / WEIGHTS_FILE) as beside:
            write_weights(bilm, beside)
        files.write_text(place / OPTIONS_FILE, bilm.options.to_json())
        checksums = {name: files.sha256(place / name) for name in (OPTIONS_FILE, WEIGHTS_FILE)}
        logger.info(
            "ELMo %s is native from now on: our network gives the module's vectors (relative error %.0e).",
            source.handle,
            max(attempts[-1].errors),
        )
    except NotABiLMError as error:
        reason = str(error)
    verdict = Verdict(reason, tuple(map(str, attempts)), tuple(checksums.items()))
    files.write_text(place / RECORD_FILE, json.dumps(asdict(verdict), indent=2) + "\n")
    return verdict


def _why(attempts: list[Attempt]) -> str:
    """Says of the attempt that came nearest where it went astray."""

    def first_wrong(attempt: Attempt) -> int:
        return next(layer for layer, error in enumerate(attempt.errors) if not error <= MAX_ERROR)

    nearest = max(attempts, key=lambda attempt: (first_wrong(attempt), -attempt.errors[first_wrong(attempt)]))
    layer = first_wrong(nearest)
    return (
        f"its layer {layer} is not what our network computes from its variables (relative error "
        f"{nearest.errors[layer]:.1e}, at most {MAX_ERROR:.0e} is allowed)"
    )
