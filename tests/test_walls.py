"""Commands answer in a blink because nothing heavy is imported before it is needed."""

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("tensorflow", "keras", "tensorflow_hub", "pandas", "sklearn", "matplotlib", "pyarrow", "h5py")

IMPORT = """
import importlib, pkgutil, sys
names = sys.argv[2:]
for name in list(names):
    module = importlib.import_module(name)
    if name == "elmo_cli.cli":
        found = pkgutil.walk_packages(module.__path__, "elmo_cli.cli.")
        names += [each.name for each in found]
for name in names:
    importlib.import_module(name)
heavy = sorted(set(sys.argv[1].split(",")) & set(sys.modules))
print(" ".join(names))
sys.exit(f"loaded: {', '.join(heavy)}" if heavy else 0)
"""


def loaded_by(project: Path, heavy: tuple[str, ...], *modules: str) -> subprocess.CompletedProcess[str]:
    """Imports modules (and all of elmo_cli.cli when it is one of them) in a fresh process."""
    return subprocess.run(
        [sys.executable, "-c", IMPORT, ",".join(heavy), *modules],
        capture_output=True,
        text=True,
        cwd=project,
        check=False,
    )


def test_importing_every_command_loads_nothing_heavy(project: Path) -> None:
    modules = ["elmo_cli", "elmo_cli.config", "elmo_cli.errors", "elmo_cli.files", "elmo_cli.progress"]
    if (project / "elmo_cli" / "cli" / "__init__.py").is_file():
        modules.append("elmo_cli.cli")
    result = loaded_by(project, HEAVY, *modules)
    assert result.returncode == 0, result.stderr
    commands = {path.stem for path in (project / "elmo_cli" / "cli").glob("*.py")} - {"__init__"}
    assert {f"elmo_cli.cli.{name}" for name in commands} <= set(result.stdout.split())


@pytest.mark.parametrize("room", ["text", "evaluation"])
def test_words_and_numbers_load_no_tensorflow(project: Path, room: str) -> None:
    folder = project / "elmo_cli" / room
    modules = [f"elmo_cli.{room}.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"]
    result = loaded_by(project, ("tensorflow", "keras", "tensorflow_hub"), f"elmo_cli.{room}", *modules)
    assert result.returncode == 0, result.stderr


def test_the_wall_is_seen_when_it_falls(project: Path) -> None:
    result = loaded_by(project, ("pandas",), "elmo_cli", "pandas")
    assert result.returncode == 1
    assert "loaded: pandas" in result.stderr


def test_every_module_but_the_hub_embedder_is_walled_off_from_tensorflow_hub(project: Path) -> None:
    setup = configparser.ConfigParser()
    setup.read(project / "setup.cfg", encoding="utf-8")
    walled = setup["importlinter:contract:hub"]["source_modules"].split()
    package = project / "elmo_cli"
    names = [path.relative_to(project).with_suffix("").parts for path in package.rglob("*.py")]
    modules = {".".join(parts) for parts in names if parts[-1] != "__init__"}
    free = {name for name in modules if not any(f"{name}.".startswith(f"{wall}.") for wall in walled)}
    assert free == {"elmo_cli.elmo.hub.embedder"}
