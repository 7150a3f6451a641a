"""What the settings of tasks may be. It knows no task."""

from collections.abc import Sequence

from dream.errors import InputError


def at_least(task: str, settings: object, **least: float) -> None:
    """InputError naming the first of the settings' fields that is below its least."""
    for name, limit in least.items():
        value = getattr(settings, name)
        if value is not None and not value >= limit:
            raise InputError(f"{task}.{name} must be at least {limit}, got {value}")


def shares(task: str, name: str, values: Sequence[float], *, one: bool) -> None:
    """InputError unless the values are some numbers in [0, 1), or with `one` in (0, 1]."""
    if not values or not all(0 < v <= 1 if one else 0 <= v < 1 for v in values):
        expected = "(0, 1]" if one else "[0, 1)"
        raise InputError(f"{task}.{name} must be one or more numbers in {expected}, got {tuple(values)}")


def needs_answer_key(task: str, data: str) -> None:
    """InputError for data other than `shapes`."""
    if data != "shapes":
        raise InputError(f"task '{task}' needs an answer key: use --data shapes, not '{data}'")
