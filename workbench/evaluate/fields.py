"""All settings of all tasks of `dream evaluate`, with default, type and description, read from the source code."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache

from dream.evaluation.tasks import TASKS
from workbench.field_docs import field_docs, kind_words, shown_value


@dataclass(frozen=True)
class Setting:
    """One setting of a task."""

    task: str
    name: str
    default: str
    """Default value, as the command line takes it."""
    kind: str
    """Type of its values in words."""
    about: str

    @property
    def key(self) -> str:
        """`TASK.FIELD`."""
        return f"{self.task}.{self.name}"

    @property
    def assignment(self) -> str:
        """`TASK.FIELD=VALUE` with the default value."""
        return f"{self.key}={self.default}"


@cache
def all_settings() -> tuple[Setting, ...]:
    """Returns the settings of all tasks, in the order of the tasks and of their fields."""
    settings = []
    for task in TASKS.values():
        defaults = task.defaults()
        kinds, docs = typing.get_type_hints(type(defaults)), field_docs(type(defaults))
        settings += [
            Setting(
                task.name,
                field.name,
                shown_value(getattr(defaults, field.name)),
                kind_words(kinds[field.name]),
                docs.get(field.name, ""),
            )
            for field in fields(defaults)
        ]
    return tuple(settings)


def matching(settings: Sequence[Setting], query: str, tasks: Sequence[str] = ()) -> list[Setting]:
    """Returns the settings (of these tasks, if any) whose name or description contains all words of the query."""
    words = query.casefold().split()
    return [
        setting
        for setting in settings
        if (not tasks or setting.task in tasks)
        and all(word in f"{setting.key} {setting.about}".casefold() for word in words)
    ]
