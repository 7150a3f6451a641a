"""Every setting of every task of `dream evaluate`, with its default and what it is, read from the sources."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache

from dream.evaluation.tasks import TASKS
from workbench.field_docs import field_docs, kind_words, shown_value


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
                shown_value(getattr(defaults, field.name)),
                kind_words(kinds[field.name]),
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
