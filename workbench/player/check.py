"""Validation of player data against the format in the docstring of the package."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from dream.errors import InputError

MODES = ("player", "race", "cells", "compare")
PNG = "data:image/png;base64,"

Data = Mapping[str, Any]


def check_player_data(data: Data) -> None:
    """Raises InputError for the first entry of `data` that the player cannot show."""
    _expect(isinstance(data, Mapping), "data must be a dict")
    mode = data.get("mode")
    _expect(mode in MODES, f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    for name in ("title", *(("label_a", "label_b") if mode == "compare" else ())):
        _expect(isinstance(data.get(name), str), f"{name} must be text")
    _count(data, "size")
    if mode != "compare":
        _count(data, "grid")
    checks: dict[Any, Callable[[Data], None]] = {
        "player": _check_decode,
        "race": _check_race,
        "cells": _check_cells,
        "compare": _check_compare,
    }
    checks[mode](data)


def _check_decode(data: Data) -> None:
    steps, tokens = _check_steps(data), data["grid"] ** 2
    _colour(data.get("colour"), "colour")
    at = data.get("at")
    _expect(at is None or (_whole(at) and at < len(steps)), f"at must be in [0, {len(steps) - 1}] or None, got {at!r}")
    for i, step in enumerate(steps):
        _expect(_number(step.get("guidance")), f"steps[{i}].guidance must be a number")
        _expect(_number(step.get("alignment"), none=True), f"steps[{i}].alignment must be a number or None")
        _positions(step.get("revealed"), tokens, f"steps[{i}].revealed")
    _pictures(data.get("frames"), len(steps), "frames")
    if data.get("rests") is not None:
        _pictures(data["rests"], len(steps), "rests")
    _list(data.get("order"), tokens, "order")
    _check_order(data["order"], steps)
    _check_attention(data, tokens)
    _check_paths(data, tokens)


def _check_order(order: Sequence[Any], steps: Sequence[Data]) -> None:
    revealed: dict[Any, int] = {}
    for i, step in enumerate(steps):
        for position in step["revealed"]:
            revealed.setdefault(position, i)  # a repair reveals some once more
    for position, at in enumerate(order):
        fine = at == revealed[position] if position in revealed else at == -1 or (_whole(at) and at >= len(steps))
        _expect(bool(fine), f"order[{position}] is {at!r}: expected the index of the step that reveals it, or -1")


def _check_attention(data: Data, tokens: int) -> None:
    words, cross = data.get("words"), data.get("cross")
    _expect((words is None) == (cross is None), "words and cross must both be given, or both be None")
    if words is not None:
        _expect(_texts(words), "words must be a list of texts")
        _map(cross, tokens * len(words), "cross")
    if data.get("self") is not None:
        _map(data["self"], tokens * tokens, "self")


def _check_paths(data: Data, tokens: int) -> None:
    if data.get("paths") is not None:
        _pictures(data["paths"], tokens, "paths")
    values = data.get("path_values")
    if values is None:
        return
    _count(data, "path_length")
    _list(values, tokens, "path_values")
    for i, curve in enumerate(values):
        _list(curve, data["path_length"], f"path_values[{i}]")
        _expect(all(_number(value) for value in curve), f"path_values[{i}] must be numbers")


def _check_race(data: Data) -> None:
    steps = _check_steps(data)
    select = data.get("select")
    _positions(select, len(steps), "select")
    candidates = data.get("candidates")
    _expect(isinstance(candidates, Sequence) and len(candidates) > 0, "candidates must be a non-empty list")
    for i, candidate in enumerate(candidates or ()):
        _check_candidate(candidate, len(steps), f"candidates[{i}]")
    numbers = [candidate["number"] for candidate in candidates or ()]
    _expect(len(set(numbers)) == len(numbers), "candidates must have different numbers")
    _expect(data.get("chosen") in (-1, *numbers), f"chosen must be one of {numbers}, or -1 if none is chosen")
    at = data.get("at")
    _expect(at is None or (_whole(at) and at < len(steps)), f"at must be in [0, {len(steps) - 1}] or None, got {at!r}")
    if data.get("choose") is not None:
        _check_choose(data["choose"], len(steps), numbers)


def _check_choose(choose: Any, steps: int, numbers: Sequence[int]) -> None:
    _expect(isinstance(choose, Mapping), "choose must be a dict or None")
    for name in ("at", "now"):
        value = choose.get(name)
        _expect(_whole(value) and value < steps, f"choose.{name} must be in [0, {steps - 1}], got {value!r}")
    picks, times = choose.get("picks"), choose.get("times")
    _list(picks, steps, "choose.picks")
    _expect(all(pick in numbers for pick in picks), f"choose.picks must be numbers of {numbers}")
    _list(times, steps, "choose.times")
    _expect(all(_number(time, none=True) for time in times), "choose.times must hold numbers or None")


def _check_candidate(candidate: Any, steps: int, name: str) -> None:
    _expect(isinstance(candidate, Mapping), f"{name} must be a dict")
    _expect(_whole(candidate.get("number")), f"{name}.number must be an integer of at least 0")
    _colour(candidate.get("colour"), f"{name}.colour")
    alive = candidate.get("alive")
    _expect(_whole(alive) and 1 <= alive <= steps, f"{name}.alive must be in [1, {steps}], got {alive!r}")
    _pictures(candidate.get("frames"), alive, f"{name}.frames")
    alignment = candidate.get("alignment")
    _list(alignment, alive, f"{name}.alignment")
    fine = all(_number(value, none=True) for value in alignment)
    _expect(fine, f"{name}.alignment must hold numbers or None")
    _expect(candidate.get("right") in (True, False, None), f"{name}.right must be True, False or None")


def _check_cells(data: Data) -> None:
    _picture(data.get("picture"), "picture")
    _positions(data.get("cells"), data["grid"] ** 2, "cells")
    _expect(data.get("verb") in ("keep", "clear"), f"verb must be keep or clear, got {data.get('verb')!r}")


def _check_compare(data: Data) -> None:
    _picture(data.get("a"), "a")
    _picture(data.get("b"), "b")


def _check_steps(data: Data) -> Sequence[Data]:
    steps = data.get("steps")
    _expect(isinstance(steps, Sequence) and len(steps) > 0, "steps must be a non-empty list")
    before = 0
    for i, step in enumerate(steps or ()):
        _expect(isinstance(step, Mapping), f"steps[{i}] must be a dict")
        at, of, decoded = step.get("step"), step.get("of"), step.get("decoded")
        fine = _whole(at) and _whole(of) and before < at <= of
        _expect(fine, f"steps[{i}].step must rise, in [1, of] (steps done); got {at!r} of {of!r}")
        _expect(_number(decoded) and 0 <= decoded <= 1, f"steps[{i}].decoded must be in [0, 1]")
        before = at
    return steps or ()


def _expect(fine: bool, problem: str) -> None:
    if not fine:
        raise InputError(f"the player cannot show this data: {problem}")


def _number(value: Any, none: bool = False) -> bool:
    """Returns whether the value is a finite number, or None if `none` allows that."""
    if value is None:
        return none
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")


def _whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _count(data: Data, name: str) -> None:
    value = data.get(name)
    _expect(_whole(value) and value > 0, f"{name} must be an integer of at least 1, got {value!r}")


def _list(value: Any, length: int, name: str) -> None:
    found = len(value) if isinstance(value, list | tuple) else type(value).__name__
    _expect(found == length, f"{name} must be a list of {length}, got {found}")


def _positions(value: Any, end: int, name: str) -> None:
    fine = isinstance(value, list | tuple) and all(_whole(p) and p < end for p in value)
    _expect(fine and len(set(value)) == len(value), f"{name} must hold different numbers in [0, {end - 1}]")


def _colour(value: Any, name: str) -> None:
    fine = isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value)
    _expect(bool(fine), f"{name} must be '#rrggbb', got {value!r}")


def _picture(value: Any, name: str) -> None:
    _expect(isinstance(value, str) and value.startswith(PNG), f"{name} must be a PNG data URL ({PNG}...)")


def _pictures(value: Any, length: int, name: str) -> None:
    _list(value, length, name)
    for i, picture in enumerate(value):
        _picture(picture, f"{name}[{i}]")


def _map(value: Any, length: int, name: str) -> None:
    try:
        found = len(base64.b64decode(value, validate=True))
    except (TypeError, ValueError, binascii.Error):
        found = -1
    _expect(found == length, f"{name} must be base64 of {length} bytes, got {max(found, 0)}")
