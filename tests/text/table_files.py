"""Small files for tests of tables."""

from pathlib import Path
from typing import Any

import pandas as pd

from elmo_cli.config import DataConfig
from elmo_cli.text.tables import read_table


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(folder: Path, name: str, content: str | bytes, **options: Any) -> pd.DataFrame:
    return read_table(write(folder, name, content), DataConfig(**options))


def cells(df: pd.DataFrame) -> list[list[Any]]:
    return [list(row) for row in df.itertuples(index=False, name=None)]
