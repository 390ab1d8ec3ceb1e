"""What tests of the commands share."""

from pathlib import Path
from typing import Any

import pytest

from elmo_cli.workflows import predict

_LOADED: dict[bytes, Any] = {}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads the same classifier once for many commands; not for tests that damage its files."""
    really = predict.load

    def load(directory: Path, embedder: Any) -> Any:
        key = (directory / "model.json").read_bytes()
        if key not in _LOADED:
            _LOADED[key] = really(directory, embedder)
        return _LOADED[key]

    monkeypatch.setattr(predict, "load", load)
