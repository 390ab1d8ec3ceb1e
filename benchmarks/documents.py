"""Documents in which a benchmark keeps its own part up to date, between two comments of Markdown."""

from dataclasses import dataclass
from pathlib import Path

from elmo_cli.files import write_text


@dataclass(frozen=True)
class Part:
    """What stands between the lines ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` of a document.

    Args:
        path: The document.
        name: Of the part.
    """

    path: Path
    name: str

    def check(self) -> None:
        """Ends the benchmark when the document has not both lines, each once and in this order."""
        self._around()

    def write(self, content: str) -> None:
        """Puts another content between the two lines; all else stays.

        Raises:
            SystemExit: As `check`.
        """
        before, after = self._around()
        write_text(self.path, "".join([*before, content.strip("\n") + "\n", *after]))

    def _around(self) -> tuple[list[str], list[str]]:
        """Returns the lines up to the first marker, and those from the second one on."""
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        wanted = [f"<!-- {self.name}: {edge} -->" for edge in ("begin", "end")]
        numbers = [number for number, line in enumerate(lines) if line.strip() in wanted]
        if [lines[number].strip() for number in numbers] != wanted:
            raise SystemExit(
                f"{self.path}: there must be a line {wanted[0]} and, below it, a line {wanted[1]}"
            )
        return lines[: numbers[0] + 1], lines[numbers[1] :]
