"""What each install holds: the core trains without pages and notebooks, and every module imports with its extras.

An install is imitated by a folder of links to just what its requirements bring. `make test-core` makes a real one.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
INTERFACES = ("streamlit", "plotly", "jupyterlab", "ipywidgets", "anywidget", "IPython")
PRESENT = f"from importlib.util import find_spec\nprint(*(name for name in {INTERFACES} if find_spec(name)))"
TRAIN = ("train", "--preset", "tiny", "--data", "shapes", "--steps", "1", "--out", "run")
CORE = ROOT / ".venv-core" / "bin" / "python"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def closure(name: str, extras: frozenset[str] = frozenset()) -> frozenset[str]:
    """All installed distributions that installing `name` brings."""
    todo, known = [(canonical(name), extras)], set()
    while todo:
        at = todo.pop()
        if at in known:
            continue
        try:
            requires = metadata.requires(at[0]) or []
        except metadata.PackageNotFoundError:
            continue
        known.add(at)
        for text in requires:
            need = Requirement(text)
            if any(need.marker is None or need.marker.evaluate({"extra": extra}) for extra in at[1] | {""}):
                todo.append((canonical(need.name), frozenset(need.extras)))
    return frozenset(name for name, _ in known)


def site_of(folder: Path, lines: Iterable[str]) -> Path:
    """A folder of packages that holds what installing these requirements brings, by links to what is installed."""
    needs = [Requirement(line) for line in lines]
    site = folder / "site"
    site.mkdir()
    for name in frozenset().union(*(closure(need.name, frozenset(need.extras)) for need in needs)):
        distribution = metadata.distribution(name)
        for entry in {Path(file).parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            if not (site / entry).exists():
                (site / entry).symlink_to(distribution.locate_file(entry))
    return site


def requirements(*extras: str) -> list[str]:
    return [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]


def ended(arguments: list[str], folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Python with the standard library, this project and `site`; -S leaves out all that is installed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
    command = [sys.executable, "-S", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def modules(*folders: str) -> list[str]:
    paths = [path.relative_to(ROOT) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in paths]
    return [name for name in names if not name.endswith("__main__")]


@pytest.mark.parametrize(
    ("folders", "extras"),
    [(("dream",), ()), (("workbench",), ("app", "notebooks")), (("app",), ("app",))],
    ids=["dream with the core", "workbench with app and notebooks", "app with app"],
)
def test_every_module_imports_with_its_install(tmp_path, folders, extras):
    site = site_of(tmp_path, requirements(*extras))
    script = f"import importlib\nfor name in {modules(*folders)}: importlib.import_module(name)"
    done = ended(["-c", script], tmp_path, site)
    assert done.returncode == 0, done.stderr


def test_the_core_install_trains_a_step(tmp_path):
    site = site_of(tmp_path, requirements())
    assert ended(["-c", PRESENT], tmp_path, site).stdout.split() == []
    done = ended(["-m", "dream", *TRAIN], tmp_path, site)
    assert done.returncode == 0, done.stderr
    assert_trained(tmp_path / "run")


@pytest.mark.core
def test_a_real_core_install_trains_a_step(tmp_path):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [CORE, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert run("-c", PRESENT).stdout.split() == []
    done = run("-m", "dream", *TRAIN)
    assert done.returncode == 0, done.stderr
    assert_trained(tmp_path / "run")


def assert_trained(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 1
    assert list(run.glob("checkpoints/*/model.safetensors"))
