"""Every notebook runs from top to bottom without an error or a word on stderr, and its widgets answer; all of
them are committed without outputs and written as the house does it.

`checks/NAME.py` is run in the notebook's kernel after its last cell.
"""

import ast
import json
import re
from pathlib import Path

import pytest

from dream.errors import InputError, RunError
from workbench.notebook_pages.execution import execute

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHECKS = Path(__file__).parent / "checks"
LONGEST = 14
"""Lines of the longest cell of code that is no list of imports."""


def cells(path, kind):
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def text(cell):
    return "".join(cell["source"])


def test_the_questions_are_there_in_order():
    names = [path.stem for path in NOTEBOOKS]
    assert [name for name in names if name[0].isdigit()] == [
        "01_masking_warmup",
        "02_train",
        "03_look_inside_a_checkpoint",
        "04_partial_decode",
        "05_choose_a_trajectory",
        "06_probe_and_compare",
        "07_your_own_pictures",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_prose_and_short_cells_without_outputs(path):
    tree = json.loads(path.read_text())
    assert tree["metadata"]["kernelspec"]["name"] == "python3"
    for cell in cells(path, "code"):
        assert cell["outputs"] == [] and cell["execution_count"] is None, "outputs are stripped in git"
        lines = [line for line in text(cell).splitlines() if line.strip()]
        assert len(lines) <= LONGEST or all(re.match(r"from |import |    |\)", line) for line in lines), lines
        kinds = {type(node) for node in ast.walk(ast.parse(text(cell)))}
        assert not kinds & {ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef}, "no def in notebooks"
    prose = [text(cell) for cell in cells(path, "markdown")]
    assert prose[0].startswith("# ")
    if path.stem[0].isdigit():
        assert "?" in prose[0], "its title or first paragraph asks the question"
        assert re.search(r"^#+ Exercise", prose[-1], re.MULTILINE), "an exercise is at its end"
        assert len(prose) >= 0.6 * len(cells(path, "code")), "what is shown is said"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_its_widgets_answer(path, tmp_path):
    checks = CHECKS / f"{path.stem}.py"
    executed = execute(path, tmp_path, checks.read_text() if checks.exists() else "")
    assert executed.complaints == []
    assert checks.exists() or not executed.snapshots, f"widgets without checks: write {checks.name}"


@pytest.mark.slow
def test_a_failing_cell_is_named(tmp_path):
    source = {"cell_type": "code", "source": "1 / 0", "metadata": {}, "outputs": [], "execution_count": None}
    path = tmp_path / "bad.ipynb"
    path.write_text(json.dumps({"cells": [source], "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    with pytest.raises(RunError, match=r"bad\.ipynb: ZeroDivisionError"):
        execute(path, tmp_path)


def test_what_is_no_notebook_is_refused(tmp_path):
    (tmp_path / "no.ipynb").write_text("no")
    for name in ("no.ipynb", "missing.ipynb"):
        with pytest.raises(InputError, match="is not a notebook"):
            execute(tmp_path / name, tmp_path)
