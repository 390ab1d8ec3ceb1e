"""LICENSE and MODEL_CARD.md: what goes along with an ELMo wherever its weights go."""

import shutil
from pathlib import Path

from elmo_cli.elmo.source import ElmoSource
from elmo_cli.errors import ElmoCliError, SourceError

CARD_FILE = "MODEL_CARD.md"
LICENCE_FILE = "LICENSE"


def copy_beside(name: str, source: ElmoSource, directory: Path) -> None:
    """Copies a file that stands in the source's directory, if it is there; raises OSError as copying does."""
    if (source.path / name).is_file():
        shutil.copyfile(source.path / name, directory / name)


def said_by(directory: Path, whose: str, kind: type[ElmoCliError] = SourceError) -> list[str]:
    """Returns the lines that a card ends with: the card of what it is about.

    Args:
        directory: Where that card stands.
        whose: Of what, such as ``source``.
        kind: What is raised where it cannot be read.

    Returns:
        Lines of Markdown, none where there is no such card.
    """
    card = directory / CARD_FILE
    try:
        if not card.is_file():
            return []
        text = card.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        raise kind(f"{card} cannot be read ({error.strerror}). Make it readable, or move it away.") from error
    return ["", "---", "", f"What the {whose} says of itself:", "", text]
