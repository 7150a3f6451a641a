"""Every figure that the app or a widget shows can be reproduced in a cell of `figures_of_the_app.ipynb`."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "notebooks" / "figures_of_the_app.ipynb"
FIGURES = "workbench.figures"


def figures_in(text: str) -> set[tuple[str, str]]:
    """(module, name) of each `plot_*` of workbench.figures that a source uses, through whatever name."""
    tree, modules, functions = ast.parse(text), {}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(FIGURES):
            for alias in node.names:
                name = alias.asname or alias.name
                if alias.name.startswith("plot_"):
                    functions[name] = (node.module, alias.name)
                else:
                    modules[name] = f"{node.module}.{alias.name}"
    found = {functions[n.id] for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in functions}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("plot_"):
            assert isinstance(node.value, ast.Name) and node.value.id in modules, ast.unparse(node)
            found.add((modules[node.value.id], node.attr))
    return found


def users() -> Iterator[Path]:
    for folder in ("app", "workbench/widgets"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def gallery_cells() -> list[str]:
    cells = json.loads(GALLERY.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def shown() -> set[tuple[str, str]]:
    return figures_in("\n".join(gallery_cells()))


def test_every_figure_of_app_and_widgets_has_a_cell(shown):
    used = {figure: path for path in users() for figure in figures_in(path.read_text())}
    assert len(used) > 40
    missing = {figure: str(path.relative_to(ROOT)) for figure, path in used.items() if figure not in shown}
    assert not missing, f"add a cell to {GALLERY.name} for each of these"


def test_a_cell_shows_one_figure(shown):
    imports = gallery_cells()[0]
    for cell in gallery_cells():
        assert len(figures_in(f"{imports}\n{cell}")) <= 1 + len(figures_in(imports))


def test_uses_are_found_through_any_name():
    text = "from workbench.figures import masking as m\nfrom workbench.figures.search import plot_cosines as p\n"
    assert figures_in(text) == set()
    assert figures_in(f"{text}m.plot_chance(p(1))") == {
        (f"{FIGURES}.masking", "plot_chance"),
        (f"{FIGURES}.search", "plot_cosines"),
    }
