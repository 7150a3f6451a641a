"""Terminal output: lines on stdout, and progress on stderr as one line that is rewritten, or one now and then.

Names and texts of others pass through here, so control characters in them are escaped.
"""

import io
import sys
import time
from collections.abc import Sequence
from typing import TextIO

from dream.plain_text import escaped

EVERY_SECONDS = 20.0
"""Seconds between progress lines where there is no terminal."""


def print_out(text: str) -> None:
    """Prints text on stdout, with control characters escaped."""
    print(escaped(text), flush=True)


def survive_any_text() -> None:
    """Makes stdout and stderr escape the characters that they cannot show, whatever their encoding."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not one that a notebook or a test has put there
            stream.reconfigure(errors="backslashreplace")


class Console:
    """Progress output on stderr; silent unless `enabled` (rank 0)."""

    def __init__(self, enabled: bool, stream: TextIO | None = None) -> None:
        self.enabled, self.stream = enabled, stream or sys.stderr
        self.on_terminal = self.stream.isatty()
        self.last_line, self.width = -EVERY_SECONDS, 0

    def say(self, text: str) -> None:
        """Prints a line of its own."""
        if self.enabled:
            self._clear()
            print(escaped(text), file=self.stream, flush=True)

    def progress(self, text: str, last: bool = False) -> None:
        """Rewrites the progress line; without a terminal it prints one every EVERY_SECONDS, and the `last`."""
        if not self.enabled:
            return
        text = escaped(text)
        if self.on_terminal:
            print(f"\r{text.ljust(self.width)}", end="", file=self.stream, flush=True)
            self.width = len(text)
        elif last or time.monotonic() - self.last_line >= EVERY_SECONDS:
            print(text, file=self.stream, flush=True)
            self.last_line = time.monotonic()

    def _clear(self) -> None:
        if self.on_terminal and self.width:
            print(f"\r{' ' * self.width}\r", end="", file=self.stream)
            self.width = 0


def counted(number: int, what: str) -> str:
    """A number of things in words: `1 picture`, `1,200 pictures`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def few_of(names: Sequence[str], most: int = 3) -> str:
    """The first names and how many more there are: `a, b, c and 4 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def duration(seconds: float) -> str:
    """Seconds in words, to the second below ten minutes: `12 s`, `4 min 30 s`, `25 min`, `2 h 05 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60:02d} s" if whole % 60 else f"{whole // 60} min"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes % 60 else f"{minutes // 60} h"
