"""The two kinds of failure that a user sees, and the exit code of each.

The library raises; only the command line and the app turn these into a sentence. It knows nothing of
printing.
"""


class InputError(ValueError):
    """Bad input: says what was wrong, what was expected and what to do. Exit code 2; nothing was written."""


class RunError(RuntimeError):
    """A failure while running (non-finite loss, nothing left to read): says what to do next. Exit code 1."""
