"""All configuration fields with their docs, types and values, for a searchable table."""

import typing
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any, NamedTuple

from dream.config import DreamConfig
from workbench.field_docs import field_docs, kind_words


class Field(NamedTuple):
    """One field of the configuration."""

    key: str
    """`section.name`, as in assignments."""
    value: Any
    kind: str
    """Values it takes: a number, or the words to choose from."""
    doc: str
    changed: bool = False
    """Whether it differs from the base configuration."""


def config_fields(config: DreamConfig, base: DreamConfig | None = None) -> list[Field]:
    """Lists every field of `config` by section; `changed` marks those that differ from `base`."""
    before, listed = base.to_dict() if base else config.to_dict(), []
    for section, values in config.to_dict().items():
        docs = _docs()[section]
        kinds = typing.get_type_hints(type(getattr(config, section)))
        for name, value in values.items():
            changed = before[section][name] != value
            listed.append(Field(f"{section}.{name}", value, kind_words(kinds[name]), docs.get(name, ""), changed))
    return listed


def search_fields(fields: Sequence[Field], query: str) -> list[Field]:
    """Fields whose key or doc contains every word of the query; all fields if the query is empty."""
    words = query.casefold().split()
    return [f for f in fields if all(word in f"{f.key} {f.doc}".casefold() for word in words)]


@cache
def _docs() -> dict[str, dict[str, str]]:
    """Field docs by section, read from the source code once."""
    config = DreamConfig()
    return {section.name: field_docs(type(getattr(config, section.name))) for section in fields(config)}
