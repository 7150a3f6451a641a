"""Checks of the fields of settings dataclasses: their types and their bounds.

A bound stands in the field's annotation, `width: Count = 768`, where `typing.get_type_hints` leaves it out.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from dream.errors import InputError, did_you_mean

T = TypeVar("T")
LARGEST = 10**308
"""Largest whole number that becomes a float."""
LARGEST_WHOLE = 2**63
"""Whole numbers of settings are below it, as those of torch and numpy."""
MOST_SHOWN = 80
"""Most characters of a wrong value in a sentence."""


@dataclass(frozen=True)
class Bounds:
    """The interval that a number must lie in; an end that is None is open."""

    least: float | None = None
    most: float | None = None
    above: float | None = None
    """Excluded lower end, in place of `least`."""
    below: float | None = None
    """Excluded upper end, in place of `most`."""

    def __contains__(self, value: float) -> bool:
        """Whether `value` is inside; NaN never is."""
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and value == value
        )

    def __str__(self) -> str:
        if self.most is None and self.below is None:
            return f"at least {self.least:g}" if self.above is None else f"above {self.above:g}"
        start = f"[{self.least:g}" if self.above is None else f"({self.above:g}"
        return f"in {start}, {self.most:g}]" if self.below is None else f"in {start}, {self.below:g})"


AT_LEAST_0, SHARE = Bounds(least=0), Bounds(least=0, most=1)
Count = Annotated[int, Bounds(least=1)]
"""A whole number of at least 1."""
MOST_BLOCKS = 1000
Depth = Annotated[int, Bounds(least=1, most=MOST_BLOCKS)]
"""Number of blocks in a row."""
DepthFrom0 = Annotated[int, Bounds(least=0, most=MOST_BLOCKS)]
"""Number of blocks in a row, where there may be none."""
MlpRatio = Annotated[float, Bounds(above=0, most=100)]
"""Hidden width of an MLP over its width."""
Share = Annotated[float, SHARE]
"""A fraction from 0 to 1."""
Positive = Annotated[float, Bounds(above=0)]
"""A number above 0."""
NotNegative = Annotated[float, AT_LEAST_0]
"""A number of at least 0."""


class Section:
    """A settings dataclass, whose fields carry their bounds; `_conflicts` relates several fields."""

    def problems(self, name: str) -> list[str]:
        """One clause per field out of its bounds, else per conflict between fields; `name` is the section's."""
        return list(self._out_of_bounds(name)) or list(self._conflicts(name))

    def _out_of_bounds(self, name: str) -> Iterator[str]:
        for key, kind in typing.get_type_hints(type(self), include_extras=True).items():
            value = getattr(self, key)
            for bounds in getattr(kind, "__metadata__", ()):
                if isinstance(value, tuple) and not (value and all(v in bounds for v in value)):
                    yield f"{name}.{key} must be one or more numbers, each {bounds}, got {value}"
                elif not isinstance(value, tuple) and value is not None and value not in bounds:
                    yield f"{name}.{key} must be {bounds}, got {value}"
            if typing.get_origin(kind) is Literal and value not in typing.get_args(kind):
                yield f"{name}.{key} must be one of {', '.join(typing.get_args(kind))}, got '{value}'"

    def _conflicts(self, name: str) -> Iterable[str]:
        """Clauses for fields that do not fit together; every bound holds by then, so it may divide."""
        return ()


def field_types(section: type[Any]) -> Mapping[str, Any]:
    """The type of each field of a dataclass, without its bounds."""
    return _types_of(section)


_types_of: Callable[[Any], Mapping[str, Any]] = cache(lambda kind: types.MappingProxyType(typing.get_type_hints(kind)))


def as_dataclass(tree: Any, kind: type[T], name: str = "") -> T:
    """The dataclass `kind` that a JSON object describes, its fields and theirs checked by type.

    Fields that `kind` does not have are left out. `name` says where the object stands. Raises InputError for one that
    lacks a field without default, or has another type there.
    """
    if isinstance(tree, kind):
        return tree
    if not isinstance(tree, Mapping):
        raise InputError(f"{name or 'it'} must be an object, got {_shortened(tree)}")
    values, kinds = {}, field_types(kind)
    for each in dataclasses.fields(kind):  # type: ignore[arg-type]
        key = f"{name}.{each.name}" if name else each.name
        if each.name in tree:
            values[each.name] = checked_value(key, tree[each.name], kinds[each.name])
        elif each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            raise InputError(f"it lacks '{key}'")
    return kind(**values)


def checked_value(key: str, value: Any, kind: Any) -> Any:
    """`value` as `kind`; raises InputError for another type.

    JSON has no tuples, paths and dataclasses, and may write 1.0 as 1: lists, texts, objects and whole numbers are
    converted.
    """
    if kind is Any:
        return value
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        kind = not_none(kind)
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            raise InputError(f"{key} must be one of {', '.join(typing.get_args(kind))}, got '{value}'")
        return value
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{key} must be a list, got {value!r}")
        kinds = element_types(key, kind, value)
        return tuple(checked_value(key, v, k) for v, k in zip(value, kinds, strict=True))
    if typing.get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise InputError(f"{key} must be an object, got {_shortened(value)}")
        return {name: checked_value(f"{key}.{name}", v, typing.get_args(kind)[1]) for name, v in value.items()}
    if dataclasses.is_dataclass(kind):
        return as_dataclass(value, typing.cast(type, kind), key)
    if kind is Path and isinstance(value, str) and "\0" not in value:
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < LARGEST else math.inf
    if kind is float and isinstance(value, float) and math.isinf(value):
        raise InputError(f"{key} must be a finite number, got {value}")
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{key} must be of type {kind.__name__}, got {_shortened(value)}")
    if kind is int and not -LARGEST_WHOLE < value < LARGEST_WHOLE:
        raise InputError(f"{key} must be a whole number below 2^63, got {_shortened(value)}")
    return value


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def not_none(kind: types.UnionType) -> Any:
    """The type that `kind | None` allows besides None."""
    return next(option for option in typing.get_args(kind) if option is not type(None))


def element_types(key: str, kind: Any, values: Any) -> tuple[Any, ...]:
    """The types of a tuple's elements, for `values`; raises InputError where their number is another.

    A tuple of any length (`tuple[int, ...]`) has as many elements as there are values.
    """
    kinds = typing.get_args(kind)
    kinds = (kinds[0],) * len(values) if kinds[-1] is Ellipsis else kinds
    if len(values) != len(kinds):
        raise InputError(f"{key} must be {len(kinds)} numbers, got {', '.join(map(str, values))}")
    return kinds


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The end of a sentence on an unknown name: the nearest known one, or the same key in another section."""
    known = list(known)
    if hint := did_you_mean(name, known, cutoff=0.4):
        return hint
    same = [other for other in known if other.split(".")[-1] == name.split(".")[-1]]
    return f"; did you mean '{same[0]}'?" if same else f"; known are {', '.join(sorted(known))}"
