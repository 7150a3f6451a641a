"""All fields of the configuration with their docs, kinds and values: for a table that can be searched."""

import ast
import inspect
import re
import types
import typing
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal, NamedTuple

from dream import config as config_module
from dream.config import DreamConfig


class Field(NamedTuple):
    """One field of the configuration."""

    key: str
    """`section.name`, as assignments have it."""
    value: Any
    kind: str
    """What it takes: a number, or the words to choose from."""
    doc: str
    changed: bool = False
    """Whether it differs from what it is compared with."""


def config_fields(config: DreamConfig, base: DreamConfig | None = None) -> list[Field]:
    """Every field of `config`, section by section; `changed` are those that differ from `base`."""
    before, found = base.to_dict() if base else config.to_dict(), []
    for section, values in config.to_dict().items():
        docs = _docs()[type(getattr(config, section)).__name__]
        kinds = typing.get_type_hints(type(getattr(config, section)))
        for name, value in values.items():
            changed = before[section][name] != value
            found.append(Field(f"{section}.{name}", value, _kind(kinds[name]), docs.get(name, ""), changed))
    return found


def search_fields(fields: Sequence[Field], query: str) -> list[Field]:
    """The fields whose key or doc holds every word of the query; all for an empty one."""
    words = query.casefold().split()
    return [f for f in fields if all(word in f"{f.key} {f.doc}".casefold() for word in words)]


def shown_value(value: Any) -> str:
    """A value as an assignment writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ",".join(map(shown_value, value))
    return str(value)


@cache
def _docs() -> dict[str, dict[str, str]]:
    """Docs of the fields by class: the strings that stand below them in the source."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(config_module)).body:
        if isinstance(node, ast.ClassDef):
            docs = found.setdefault(node.name, {})
            for field, below in zip(node.body, node.body[1:], strict=False):
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    docs[field.target.id] = _text(below)
    return found


def _text(node: ast.stmt) -> str:
    value = getattr(node, "value", None) if isinstance(node, ast.Expr) else None
    text = value.value if isinstance(value, ast.Constant) else ""
    return re.sub(r"\s+", " ", str(text)).strip()


def _kind(kind: Any) -> str:
    if isinstance(kind, types.UnionType):
        return " or ".join(
            "none" if part is types.NoneType else _kind(part) for part in typing.get_args(kind)
        )
    if typing.get_origin(kind) is Literal:
        return " | ".join(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return f"{len(typing.get_args(kind))} numbers"
    return {int: "whole number", float: "number", bool: "true | false", str: "text"}.get(kind, str(kind))
