"""All fields of the configuration with their docs, kinds and values: for a table that can be searched."""

import types
import typing
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any, Literal, NamedTuple

from dream.config import DreamConfig
from workbench.field_docs import field_docs


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
        docs = _docs()[section]
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
    """Docs of the fields by section; read from the sources once."""
    config = DreamConfig()
    return {section.name: field_docs(type(getattr(config, section.name))) for section in fields(config)}


def _kind(kind: Any) -> str:
    if isinstance(kind, types.UnionType):
        return " or ".join("none" if part is types.NoneType else _kind(part) for part in typing.get_args(kind))
    if typing.get_origin(kind) is Literal:
        return " | ".join(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return f"{len(typing.get_args(kind))} numbers"
    return {int: "whole number", float: "number", bool: "true | false", str: "text"}.get(kind, str(kind))
