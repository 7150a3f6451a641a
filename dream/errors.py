"""The two kinds of failure that a user sees, each with its exit code, and the hint for a misspelt name.

The library raises; the command line, the app and notebooks turn the error into a sentence.
"""

import difflib
from collections.abc import Iterable


class _Sentence:
    """Makes IPython show the message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class InputError(_Sentence, ValueError):
    """Bad input: says what was wrong, what was expected and what to do. Exit code 2; nothing was written."""


class RunError(_Sentence, RuntimeError):
    """A failure while running (non-finite loss, no data left): says what to do next. Exit code 1."""


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """`; did you mean 'nearest'?`, or nothing if no known name is similar enough (`cutoff` in [0, 1])."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean '{close[0]}'?" if close else ""
