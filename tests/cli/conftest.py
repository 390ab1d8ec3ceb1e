"""What tests of the commands share."""

from pathlib import Path
from typing import Any

import pytest

from elmo_cli.workflows import predict

_LOADED: dict[Path, Any] = {}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads each run's classifier once for many commands; for tests that change nothing in a run."""
    really = predict.load

    def load(directory: Path, embedder: Any) -> Any:
        if directory not in _LOADED:
            _LOADED[directory] = really(directory, embedder)
        return _LOADED[directory]

    monkeypatch.setattr(predict, "load", load)
