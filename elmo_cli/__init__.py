"""Train, evaluate and use ELMo text classifiers from the command line.

The public names are imported on first use, so that ``import elmo_cli`` stays light:

    from elmo_cli import Predictor
    predictions = Predictor("runs/mine")(table)
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["Embedding", "Predictor", "__version__", "load_run"]


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name == "Embedding":
        return getattr(import_module("elmo_cli.workflows.embed"), name)
    if name in ("Predictor", "load_run"):
        return getattr(import_module("elmo_cli.workflows.predict"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
