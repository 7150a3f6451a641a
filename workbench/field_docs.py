"""What the sources say of a dataclass's fields: the strings that stand below them."""

import ast
import inspect
import textwrap
from typing import Any


def field_docs(section: type[Any]) -> dict[str, str]:
    """What stands below each field of a dataclass, own or inherited, on one line each."""
    found: dict[str, str] = {}
    for owner in reversed(section.__mro__[:-1]):
        found |= _own_docs(owner)
    return found


def _own_docs(section: type[Any]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[field.target.id] = " ".join(str(below.value.value).split())
    return found
