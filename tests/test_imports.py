"""Who may import whom, and where third-party packages enter."""

import ast
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# The arrow dream <- workbench <- app, notebooks: what each may know of the project.
MAY_IMPORT = {
    "dream": {"dream"},
    "workbench": {"dream", "workbench"},
    "app": {"dream", "workbench", "app"},
    "notebooks": {"dream", "workbench"},
}
# Interface packages stay out of the method, and Streamlit out of what notebooks share.
NEVER = {
    "dream": {"streamlit", "plotly", "ipywidgets", "anywidget", "jupyterlab", "IPython"},
    "workbench": {"streamlit"},
}
# A third-party package enters through one or two files.
ENTRIES = {
    "datasets": {"dream/data/corpora/hub.py"},
    "diffusers": {"dream/model/latents.py"},
    "filelock": {"dream/files.py"},
    "lightning_fabric": {"dream/training/devices.py", "dream/training/loggers.py"},
    "huggingface_hub": {"dream/weights/hub.py", "dream/weights/hub_models.py"},
    "h5py": {"dream/evaluation/dense/nyu_mat.py"},
    "timm": {"dream/evaluation/classes/probe.py", "dream/evaluation/painted/encoders.py", "dream/model/teacher.py"},
    "pyarrow": {"dream/data/emoji/table.py"},
    "resvg_py": {"dream/data/emoji/build.py"},
    "tokenizers": {"dream/data/text.py"},
    "transformers": {"dream/data/text.py", "dream/evaluation/painted/encoders.py", "dream/model/conditioning.py"},
    "ftfy": {"dream/data/cleaning.py"},
    "google_crc32c": {"dream/data/cache/rows.py"},
    "zarr": {
        "dream/data/cache/rows.py",
        "dream/data/cache/writing.py",
        "dream/decoding/record.py",
        "dream/decoding/record_writer.py",
    },
}
EXTRAS = {"diffusers", "ftfy", "h5py", "imageio_ffmpeg", "kaleido", "playwright", "resvg_py"} | {
    "scipy",
    "sklearn",
    "torchmetrics",
}
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "resvg_py": "resvg-py"}


def sources(folder: str) -> Iterator[tuple[str, str]]:
    """Path (from the root) and Python text of every source under `folder`; of a notebook, its code cells."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), path.read_text()
    for path in sorted((ROOT / folder).rglob("*.ipynb")):
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
        text = "\n".join(line for line in lines if not line.startswith(("%", "!")))
        yield path.relative_to(ROOT).as_posix(), text


def packages(text: str) -> set[str]:
    """Top-level packages that `text` imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def requirements(lines: list[str]) -> set[str]:
    """Distribution names in a list of requirements."""
    return {line.split(">")[0].split("=")[0].split("[")[0].strip() for line in lines}


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_from_the_pages_to_the_method(folder):
    for path, text in sources(folder):
        upward = packages(text) & (set(MAY_IMPORT) | {"tests"}) - MAY_IMPORT[folder]
        assert not upward, f"{path} must not import {upward}"
        assert not packages(text) & NEVER.get(folder, set()), f"{path} must not know the interface"


@pytest.mark.parametrize("package", ENTRIES)
def test_a_third_party_package_enters_through_its_own_files(package):
    users = {path for folder in MAY_IMPORT for path, text in sources(folder) if package in packages(text)}
    assert users <= ENTRIES[package]


def test_everything_imported_is_declared():
    project = PROJECT["project"]
    declared = requirements(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        declared |= requirements(extra)
    for folder in MAY_IMPORT:
        for path, text in sources(folder):
            third_party = packages(text) - set(sys.stdlib_module_names) - set(MAY_IMPORT)
            names = {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in third_party}
            assert names <= declared, f"{path} imports {names - declared}: not in pyproject.toml"


def test_the_packages_listed_by_hand_are_all_there_are():
    listed = set(PROJECT["tool"]["setuptools"]["packages"])
    folders = {path.parent for name in ("dream", "workbench", "app") for path in (ROOT / name).rglob("*.py")}
    assert listed == {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert all((folder / "__init__.py").is_file() for folder in folders)
