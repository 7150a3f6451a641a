"""The two kinds of failure that a user sees, and the exit code of each.

The library raises; only the command line, the app and notebooks turn these into a sentence. It knows nothing
of printing.
"""


class _Sentence:
    """Makes IPython show the message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [f"{type(self).__name__}: {self}"]


class InputError(_Sentence, ValueError):
    """Bad input: says what was wrong, what was expected and what to do. Exit code 2; nothing was written."""


class RunError(_Sentence, RuntimeError):
    """A failure while running (non-finite loss, nothing left to read): says what to do next. Exit code 1."""
