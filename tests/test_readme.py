"""README.md speaks of what there is; its main blocks are run by .ci/run."""

import re
from pathlib import Path

import click
import pytest
from tiny_run import COMMANDS


def test_every_option_in_the_readme_exists(project: Path) -> None:
    known = {
        name
        for command in COMMANDS.values()
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for name in (*parameter.opts, *parameter.secondary_opts)
    }
    named = set(
        re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", (project / "README.md").read_text(encoding="utf-8"))
    )
    assert named - known == set()


def test_every_link_in_the_readme_leads_somewhere(project: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", (project / "README.md").read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (project / link).exists()] == []


@pytest.mark.parametrize("marker", ["main", "use", "test"])
def test_the_gate_finds_its_commands(project: Path, marker: str) -> None:
    assert f"<!-- ci: {marker} -->\n```\n" in (project / "README.md").read_text(encoding="utf-8")
