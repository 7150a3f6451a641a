"""Fields of settings dataclasses in words: their docstrings, the values they take and their current value."""

import ast
import inspect
import textwrap
import types
import typing
from typing import Any, Literal


def field_docs(section: type[Any]) -> dict[str, str]:
    """Docstrings of a dataclass's fields, own and inherited, each on one line; read from the source code."""
    docs: dict[str, str] = {}
    for owner in reversed(section.__mro__[:-1]):
        docs |= _own_docs(owner)
    return docs


def shown_value(value: Any) -> str:
    """A value as an assignment on the command line writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(map(shown_value, value))
    return str(value)


def kind_words(kind: Any) -> str:
    """The values that a field of this type takes, in words."""
    arguments = typing.get_args(kind)
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return " or ".join("none" if each is types.NoneType else kind_words(each) for each in arguments)
    if typing.get_origin(kind) is Literal:
        return " | ".join(map(str, arguments))
    if typing.get_origin(kind) is tuple:
        return f"list of {kind_words(arguments[0])}s" if Ellipsis in arguments else f"{len(arguments)} numbers"
    return {int: "whole number", float: "number", bool: "true | false", str: "text"}.get(kind, str(kind))


def _own_docs(section: type[Any]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    assert isinstance(tree, ast.ClassDef)
    docs = {}
    for field, below in zip(tree.body, tree.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            docs[field.target.id] = " ".join(str(below.value.value).split())
    return docs
