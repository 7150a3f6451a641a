"""The shape of the house: no circle of imports, walls between pages, one name per thing, files short enough to read."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
LAYERS = ("dream", "workbench", "app")
PAGES = {folder.parent.name for folder in (ROOT / "app").glob("*/page.py")}
MAY_VISIT = {("runs", "train"), ("search", "data")}
"""Pages that use parts of another page."""
LARGE = {"dream/config.py": 510}
"""Files that may exceed 400 lines: the settings are one tree."""
SHARED_NAMES = {"render", "add_arguments", "run", "main"}
"""Names that stand in several files on purpose: the entries of pages, commands and programs."""


@cache
def trees() -> dict[str, ast.Module]:
    """Syntax tree of every module by its path from the root."""
    paths = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in paths}


def module_of(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imported(tree: ast.Module) -> Iterator[str]:
    """What a module imports when it runs, inside functions too; imports for the type checker alone do not count."""
    unseen = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
            yield node.module


@cache
def arrows() -> dict[str, set[str]]:
    """The project's own modules that each module imports."""
    modules = {module_of(path): tree for path, tree in trees().items()}
    found = {}
    for name, tree in modules.items():
        names = set(imported(tree))
        packages = {target.rpartition(".")[0] for target in names if target in modules}
        found[name] = {t for t in names if t in modules and not (t in packages and is_package(t))} - {name}
    return found


def is_package(module: str) -> bool:
    return (ROOT / module.replace(".", "/")).is_dir()


def circle(graph: dict[str, set[str]]) -> str:
    """A circle in the graph, in words; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return ""


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path}: {node.name}", node


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The parameters of a function, but not what a method is bound to."""
    names = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


def test_no_module_imports_itself_by_a_detour():
    assert circle(arrows()) == ""


def test_no_folder_imports_itself_by_a_detour():
    def folder(module: str) -> str:
        names = module.split(".")
        return ".".join(names[:2]) if len(names) > 2 or is_package(module) else module

    folders: dict[str, set[str]] = {}
    for module, targets in arrows().items():
        folders.setdefault(folder(module), set()).update(folder(target) for target in targets)
    assert circle({name: targets - {name} for name, targets in folders.items()}) == ""


def test_pages_do_not_import_each_other():
    visits = {
        (module.split(".")[1], target.split(".")[1])
        for module, targets in arrows().items()
        for target in targets
        if module.startswith("app.") and target.startswith("app.")
    }
    between = {(guest, host) for guest, host in visits if guest != host and {guest, host} <= PAGES}
    assert len(PAGES) == 10 and between <= MAY_VISIT


def test_a_public_name_stands_in_one_file():
    places = Counter(
        node.name
        for tree in trees().values()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, count in places.items() if count > 1} <= SHARED_NAMES


def test_files_can_be_read_in_one_go():
    lines = {path: len((ROOT / path).read_text().splitlines()) for path in trees()}
    assert median(lines.values()) < 160
    assert {path: count for path, count in lines.items() if count > LARGE.get(path, 400)} == {}


def test_functions_fit_a_screen_and_take_few_arguments():
    long = {name for name, node in functions() if (node.end_lineno or 0) - node.lineno + 1 > 60}
    assert long == set()
    taken = {name: [*n.args.posonlyargs, *n.args.args, *n.args.kwonlyargs] for name, n in functions()}
    many = {
        name for name, arguments in taken.items() if len([a for a in arguments if a.arg not in ("self", "cls")]) > 8
    }
    assert many == set()


def test_a_folder_holds_few_files():
    folders = {path for layer in LAYERS for path in [ROOT / layer, *(ROOT / layer).rglob("*/")]}
    counts = {
        folder.relative_to(ROOT).as_posix(): len([p for p in folder.iterdir() if p.is_file()]) for folder in folders
    }
    assert {folder: count for folder, count in counts.items() if count > 25} == {}


def test_no_line_asks_the_formatter_to_look_away():
    assert [path for path in trees() if "fmt: " + "skip" in (ROOT / path).read_text()] == []
