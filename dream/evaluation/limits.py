"""Checks of task settings; each raises InputError with the setting, its allowed range and its value."""

from collections.abc import Sequence

from dream.errors import InputError


def at_least(task: str, settings: object, **least: float) -> None:
    """Raises InputError for the first field of the settings that is below its minimum; None is allowed."""
    for name, limit in least.items():
        value = getattr(settings, name)
        if value is not None and not value >= limit:
            raise InputError(f"{task}.{name} must be at least {limit}, got {value}")


def shares(task: str, name: str, values: Sequence[float], *, one: bool) -> None:
    """Raises InputError unless there are values and all are in [0, 1), or in (0, 1] with `one`."""
    if not values or not all(0 < v <= 1 if one else 0 <= v < 1 for v in values):
        expected = "(0, 1]" if one else "[0, 1)"
        raise InputError(f"{task}.{name} must be one or more numbers in {expected}, got {tuple(values)}")


def needs_answer_key(task: str, data: str) -> None:
    """Raises InputError for data other than `shapes`."""
    if data != "shapes":
        raise InputError(f"task '{task}' needs an answer key: use --data shapes, not '{data}'")
