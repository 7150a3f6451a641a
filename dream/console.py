"""How far a training is, on a terminal (one line that moves) or in a log file (a line now and then)."""

import sys
import time
from typing import TextIO

EVERY_SECONDS = 20.0
"""Between lines where there is no terminal."""


class Console:
    """The teller. Only rank 0 speaks."""

    def __init__(self, speaks: bool, stream: TextIO | None = None) -> None:
        self.speaks, self.stream = speaks, stream or sys.stderr
        self.moving = self.stream.isatty()
        self.last_line, self.width = -EVERY_SECONDS, 0

    def say(self, text: str) -> None:
        """A line of its own."""
        if self.speaks:
            self._clear()
            print(text, file=self.stream, flush=True)

    def progress(self, text: str, last: bool = False) -> None:
        """The moving line; without a terminal a line every EVERY_SECONDS, and the last."""
        if not self.speaks:
            return
        if self.moving:
            print(f"\r{text.ljust(self.width)}", end="", file=self.stream, flush=True)
            self.width = len(text)
        elif last or time.monotonic() - self.last_line >= EVERY_SECONDS:
            print(text, file=self.stream, flush=True)
            self.last_line = time.monotonic()

    def _clear(self) -> None:
        if self.moving and self.width:
            print(f"\r{' ' * self.width}\r", end="", file=self.stream)
            self.width = 0


def duration(seconds: float) -> str:
    """`2 h 05 min`, `4 min 30 s` or `12 s`."""
    whole = max(0, round(seconds))
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"
