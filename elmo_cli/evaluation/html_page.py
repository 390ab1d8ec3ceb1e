"""The frame and the parts of an HTML page that needs no other file: style, tables, pictures."""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from elmo_cli.errors import RunError
from elmo_cli.evaluation.text_table import shorten

MAX_TEXT = 300
MAX_STILL_ROWS = 20  # longer tables scroll
WIDE_PX = 980  # what fits the page; wider pictures can be switched to full size
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

# Nothing may be loaded or run, whatever a label holds.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2430; --soft: #5b6675; --line: #d8dde4;
  --band: #f4f6f9; --bar: #7fb0e8; --link: #0b57b0; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181e; --ink: #e4e8ee; --soft: #9aa5b4; --line: #333c48; --band: #1c222b;
    --bar: #3d74b5; --link: #86b7f5; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 64rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
p { max-width: 46rem; margin: .6rem 0; }
a { color: var(--link); }
.soft, caption, figcaption { color: var(--soft); }
dl.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .75rem;
  margin: 0; }
dl.tiles div { background: var(--band); border-radius: .5rem; padding: .7rem .9rem; }
dl.tiles dt, dl.tiles dd { margin: 0; }
dl.tiles dt { color: var(--soft); font-size: .9rem; }
dl.tiles .value { font-size: 1.6rem; font-weight: 600; font-variant-numeric: tabular-nums;
  line-height: 1.3; }
dl.tiles .soft { font-size: .85rem; }
.sheet { overflow-x: auto; margin: 1.25rem 0; border: 1px solid var(--line); border-radius: .5rem; }
.scroll { overflow: auto; max-height: 40rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .5rem .75rem; }
th, td { padding: .3rem .75rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
th { font-weight: 500; min-width: 6rem; }
thead th { position: sticky; top: 0; background: var(--band); font-weight: 600; overflow-wrap: normal;
  min-width: 0; }
.number { text-align: right; white-space: nowrap; }
td.bar { background: linear-gradient(var(--bar), var(--bar)) no-repeat content-box left bottom;
  background-size: var(--part) .25rem; padding-bottom: .25rem;
  width: 9rem; }
table.facts th { width: 14rem; color: var(--soft); }
figure { margin: 1.25rem 0; }
figure label { display: inline-block; margin-bottom: .4rem; color: var(--soft); }
.picture { overflow: auto; background: #fff; border: 1px solid var(--line); border-radius: .5rem; }
.picture img { display: block; max-width: 100%; height: auto; margin: 0 auto; }
figure:has(input:checked) .picture { max-height: 90vh; }
figure:has(input:checked) img { max-width: none; margin: 0; }
@media print {
  .scroll { max-height: none; overflow: visible; }
  figure label { display: none; }
  thead th { position: static; }
}
"""


@dataclass(frozen=True)
class Cell:
    """A cell with a number.

    Args:
        text: How it is written.
        part: A share in [0, 1] that is drawn as a bar behind the text, or None for no bar.
    """

    text: str
    part: float | None = None


def page(title: str, body: Iterable[str]) -> str:
    """Returns a whole page.

    Args:
        title: Plain text; it is also the heading.
        body: HTML of the parts below the heading.
    """
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            f'<h1 dir="auto">{text(title)}</h1>',
            *body,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def text(plain: str) -> str:
    """Returns plain text as HTML: escaped, on one line, cut after 300 characters, never invisible."""
    shown = shorten(plain, MAX_TEXT)
    return escape(shown) if shown.strip() else '<span class="soft">(empty)</span>'


def table(
    caption: str, head: Sequence[str], rows: Iterable[Sequence[str | Cell]], *, css_class: str = ""
) -> str:
    """Returns a table whose first column names the rows; it scrolls when it is long.

    Args:
        caption: Plain text.
        head: Names of the columns, or nothing for a table without a head.
        rows: Plain text for text and `Cell` for numbers; the first one is text.
        css_class: For the style.
    """
    body = [[*row] for row in rows]
    numbers = [isinstance(cell, Cell) for cell in body[0]] if body else [False] * len(head)
    columns = "".join(
        f'<th scope="col"{_number_class(is_number)}>{text(name)}</th>'
        for name, is_number in zip(head, numbers, strict=False)
    )
    frame = 'class="sheet"'
    if len(body) > MAX_STILL_ROWS:
        # What scrolls must be reachable by the keyboard, and then it needs a name.
        frame = f'class="sheet scroll" tabindex="0" role="region" aria-label="{_attribute(caption)}"'
    lines = [
        f"<div {frame}>",
        f'<table class="{css_class}">' if css_class else "<table>",
        f"<caption>{text(caption)}</caption>",
        f"<thead><tr>{columns}</tr></thead>" if head else "",
        "<tbody>",
    ]
    for name, *cells in body:
        first = f'<th scope="row" dir="auto">{text(name.text if isinstance(name, Cell) else name)}</th>'
        lines.append(f"<tr>{first}{''.join(_cell(cell) for cell in cells)}</tr>")
    return "\n".join([*filter(None, lines), "</tbody>", "</table>", "</div>"])


def picture(path: str | Path, *, alt: str) -> str:
    """Returns a PNG file as part of the page; a wide one fits the page until full size is asked for.

    Args:
        path: The file.
        alt: What the picture shows, for those who do not see it.

    Raises:
        RunError: When the file cannot be read.
        ValueError: When it is not PNG.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from error
    if not content.startswith(PNG_SIGNATURE):
        raise ValueError(f"{path} must be a PNG file")
    width, height = (int.from_bytes(content[start : start + 4], "big") for start in (16, 20))
    image = (
        f'<img alt="{_attribute(alt)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{base64.b64encode(content).decode()}">'
    )
    switch = '<label><input type="checkbox"> full size</label>\n' if width > WIDE_PX else ""
    region = f'<div class="picture" tabindex="0" role="region" aria-label="{_attribute(alt)}">'
    frame = region if switch else '<div class="picture">'
    return f"<figure>\n{switch}{frame}{image}</div>\n</figure>"


def _cell(cell: str | Cell) -> str:
    """Returns one cell that is not the first of its row."""
    if isinstance(cell, str):
        return f'<td dir="auto">{text(cell)}</td>'
    if cell.part is None:
        return f'<td class="number">{text(cell.text)}</td>'
    return f'<td class="number bar" style="--part: {cell.part:.1%}">{text(cell.text)}</td>'


def _number_class(is_number: bool) -> str:
    """Returns the class of the head of a column."""
    return ' class="number"' if is_number else ""


def _attribute(plain: str) -> str:
    """Returns plain text for between the quotes of an attribute."""
    return escape(shorten(plain, MAX_TEXT))
