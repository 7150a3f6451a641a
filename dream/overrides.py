"""Assignments of the command line, `--set section.key=value`, applied to settings dataclasses."""

import dataclasses
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from dream.config import RETIRED, DreamConfig
from dream.errors import InputError
from dream.fields import checked_value, element_types, field_types, nearest_name, not_none


def override(config: DreamConfig, assignments: Iterable[str]) -> DreamConfig:
    """`config` with `section.key=value` assignments applied, e.g. `masking.std=0.3`.

    Raises InputError for a misspelt key (naming the nearest), a value of another type, or an inconsistent
    result.
    """
    sections = {name: getattr(config, name) for name in field_types(DreamConfig)}
    return DreamConfig(**assign(sections, assignments, "section.key=value", "masking.std=0.3"))


def assign(sections: Mapping[str, Any], assignments: Iterable[str], form: str, example: str) -> dict[str, Any]:
    """Dataclasses by name, with assignments of the form `name.field=value` applied by the fields' types.

    Raises InputError for text that is not of this `form` (giving the `example`), a misspelt field (naming
    the nearest), or a value of another type.
    """
    changes: dict[str, dict[str, Any]] = {name: {} for name in sections}
    kinds = {f"{name}.{key}": kind for name, s in sections.items() for key, kind in field_types(type(s)).items()}
    for assignment in assignments:
        key, equals, text = (piece.strip() for piece in assignment.partition("="))
        if not equals:
            raise InputError(f"--set takes {form}, got '{assignment}', e.g. --set {example}")
        if key in RETIRED:
            raise InputError(f"--set {key}: it is fixed at {RETIRED[key]} in this version; leave it out")
        if key not in kinds:
            raise InputError(f"--set knows no key '{key}'{nearest_name(key, kinds)}")
        name, field_name = key.split(".")
        changes[name][field_name] = checked_value(key, _parsed(key, text, kinds[key]), kinds[key])
    return {name: dataclasses.replace(section, **changes[name]) for name, section in sections.items()}


def _parsed(key: str, text: str, kind: Any) -> Any:
    """The command line's `text` as a value of type `kind`."""
    if isinstance(kind, types.UnionType):
        return None if text.lower() in ("none", "null", "") else _parsed(key, text, not_none(kind))
    if typing.get_origin(kind) is tuple:
        texts = [piece.strip() for piece in text.strip("()[]").split(",") if piece.strip()]
        return tuple(_parsed(key, t, k) for t, k in zip(texts, element_types(key, kind, texts), strict=True))
    if kind is bool:
        if text.lower() in ("true", "1", "yes", "on"):
            return True
        if text.lower() in ("false", "0", "no", "off"):
            return False
        raise InputError(f"{key} must be true or false, got '{text}'")
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            expected = "a whole number" if kind is int else "a number"
            raise InputError(f"{key} must be {expected}, got '{text}'") from None
    return text
