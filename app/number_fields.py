"""Number fields whose bounds are checked here, so that a number out of range is refused in a sentence.

Streamlit's own bounds are checked in the browser, which keeps a number out of range to itself: the page would go on
with the number before it. Whole numbers are fields of floats, since those of integers do so with 20 digits.
"""

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.text import as_text
from dream.errors import InputError
from workbench.runs.words import sentence


class NumberFields:
    """The number fields of one form in one run, and what is wrong with the numbers in them.

    Draw each field with `whole` or `real`, and call `require` before the numbers are used.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        """What is wrong, a clause per field; empty if all numbers are in range."""

    def whole(self, where: DeltaGenerator, label: str, low: int, high: int, *, key: str, **options: Any) -> int:
        """Draws a field for a whole number from `low` to `high`; says below it if another number is in it.

        Returns the number, cut to a whole one. `options` are those of `st.number_input`; an empty field holds
        `value` (default: `low`).
        """
        typed = _draw(where, label, key, {"step": 1, "value": low, "format": "%g", **options})
        fits = low <= typed <= high and typed == int(typed)
        self._note(fits, where, f"{label} must be a whole number from {low:,} to {high:,}, got {typed:.15g}")
        return int(typed)

    def real(self, where: DeltaGenerator, label: str, low: float, high: float, *, key: str, **options: Any) -> float:
        """Draws a field for a number from `low` to `high`; says below it if another is in it. Else as `whole`."""
        typed = _draw(where, label, key, {"value": low, **options})
        fits = low <= typed <= high
        self._note(fits, where, f"{label} must be a number from {low:,g} to {high:,g}, got {typed:.15g}")
        return typed

    def require(self) -> None:
        """Raises InputError if a number is out of range; names the first."""
        if self.faults:
            raise InputError(self.faults[0])

    def _note(self, fits: bool, where: DeltaGenerator, fault: str) -> None:
        if not fits:
            self.faults.append(fault)
            where.caption(f":red[{as_text(sentence(fault))}]")


def _draw(where: DeltaGenerator, label: str, key: str, options: dict[str, Any]) -> float:
    """Draws the field as one of floats, without bounds; returns the number in it."""
    options.setdefault("step", None)
    for name in ("step", "value"):
        if options.get(name) is not None:
            options[name] = float(options[name])
    if isinstance(held := st.session_state.get(key), float) and options["step"] == 1 and held == int(held):
        st.session_state[key] = int(held)  # the address shows it without a decimal point
    draw: Callable[..., Any] = where.number_input
    return float(draw(label, key=key, **options))
