"""Embedders that can become part of a graph which a model server loads."""

from pathlib import Path

from elmo_cli.elmo.embedder import Embedder
from elmo_cli.elmo.hub.embedder import HubEmbedder
from elmo_cli.elmo.hub.reference_variables import TableError
from elmo_cli.errors import SourceError


def servable(embedder: Embedder, directory: Path) -> Embedder:
    """Returns an embedder that gives the same and can be exported.

    Args:
        embedder: Any embedder; the native one is returned as it is.
        directory: Where a module may be written that becomes part of the graph; it must stay until that graph
            is written.

    Raises:
        SourceError: When the module cannot be exported.
    """
    if not isinstance(embedder, HubEmbedder):
        return embedder
    try:
        return embedder.normalised(directory)
    except (TableError, SourceError) as error:
        raise SourceError(
            f"ELMo {embedder.source.handle}: this module works through its own graph, which cannot become "
            f"part of one that a server loads: {error}. Train on another ELMo: elmo-train ... --elmo HANDLE."
        ) from error
