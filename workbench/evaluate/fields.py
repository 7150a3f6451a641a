"""Every setting of every task of `dream evaluate`, with its default and what it is, read from the sources."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from dream.evaluation.tasks import TASKS
from workbench.field_docs import field_docs


@dataclass(frozen=True)
class Setting:
    """One TASK.FIELD."""

    task: str
    name: str
    default: str
    """As the command line takes it."""
    kind: str
    """What values it takes."""
    about: str

    @property
    def key(self) -> str:
        """What is assigned to."""
        return f"{self.task}.{self.name}"

    @property
    def assignment(self) -> str:
        """The line that sets it to its default."""
        return f"{self.key}={self.default}"


@cache
def all_settings() -> tuple[Setting, ...]:
    """The settings of all tasks, in the order of the tasks and of their fields."""
    found = []
    for task in TASKS.values():
        defaults = task.defaults()
        kinds, docs = typing.get_type_hints(type(defaults)), field_docs(type(defaults))
        found += [
            Setting(
                task.name,
                field.name,
                _written(getattr(defaults, field.name)),
                _kind(kinds[field.name]),
                docs.get(field.name, ""),
            )
            for field in fields(defaults)
        ]
    return tuple(found)


def matching(settings: Sequence[Setting], query: str, tasks: Sequence[str] = ()) -> list[Setting]:
    """Those (of these tasks) whose name or text has all words of the query."""
    words = query.casefold().split()
    return [
        setting
        for setting in settings
        if (not tasks or setting.task in tasks)
        and all(word in f"{setting.key} {setting.about}".casefold() for word in words)
    ]


def _written(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_written, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _kind(kind: Any) -> str:
    """Words for a field's type."""
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) is tuple:
        return f"list of {_kind(typing.get_args(kind)[0])}s"
    parts = [part for part in typing.get_args(kind) if part is not type(None)]
    if parts:
        return f"{_kind(parts[0])} or none"
    return {int: "whole number", float: "number", bool: "true or false", str: "text"}.get(kind, str(kind))
