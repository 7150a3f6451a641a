"""Turns the failure of a command into one sentence on stderr and an exit code.

2 for bad input, 1 for a failure while running, 130 after Ctrl-C.
"""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable

from dream.console import survive_any_text
from dream.errors import InputError, RunError
from dream.files import DISK_FULL
from dream.plain_text import escaped

_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


def exit_code(program: str, command: Callable[[], object], interrupted: str = "interrupted") -> int:
    """Runs the command and returns its exit code; prints `PROGRAM: sentence` if it fails.

    `interrupted` is the sentence after Ctrl-C. DREAM_DEBUG=1 in the environment adds the traceback.
    """
    survive_any_text()
    try:
        try:
            command()
        finally:
            _flush()  # a closed pipe is noticed here, not when Python ends
        return 0
    except BrokenPipeError:  # the reader of our output has exited, as in `dream data SRC | head`
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt as stop:
        sentence, code = str(stop) or interrupted, getattr(stop, "code", 130)
    except Exception as error:
        if os.environ.get("DREAM_DEBUG") == "1":
            traceback.print_exc()
        sentence, code = _sentence(error)
    print(escaped(f"{program}: {sentence}"), file=sys.stderr)
    return code


def _sentence(error: BaseException) -> tuple[str, int]:
    """Returns the sentence for `error` (or, if that is unknown, for its cause) and the exit code."""
    cause: BaseException | None = error
    while cause is not None:
        known = _known(cause)
        if known is not None:
            return known
        cause = cause.__cause__
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{text} (set DREAM_DEBUG=1 for the traceback)", 1


def _known(error: BaseException) -> tuple[str, int] | None:
    from safetensors import SafetensorError

    if isinstance(error, InputError):
        return str(error), 2
    if isinstance(error, RunError):
        return str(error), 1
    if isinstance(error, OSError):
        return _known_os_error(error)
    if isinstance(error, SafetensorError):  # carries what the system said as text only
        for number in (*DISK_FULL, *_NOT_WRITABLE):
            if f"os error {number})" in str(error):
                return _known_os_error(OSError(number, os.strerror(number)))
        return f"a weights file is damaged or is not a safetensors file ({error})", 2
    return None


def _known_os_error(error: OSError) -> tuple[str, int] | None:
    what = f": {error.filename}" if error.filename else f" ({error})"
    if error.errno in DISK_FULL:
        return f"the disk is full{what}; free some space and run the command again", 1
    if error.errno in _NOT_WRITABLE:
        return f"no permission to read or write{what}; choose another place or change its permissions", 2
    if error.errno == errno.ENAMETOOLONG:
        return f"a name is too long for a file (most file systems take 255 bytes){what}", 2
    if isinstance(error, FileNotFoundError):
        return f"no such file or folder{what}", 2
    if isinstance(error, FileExistsError):
        return f"exists already, and was left as it is{what}", 2
    if isinstance(error, IsADirectoryError):
        return f"a folder where a file was expected{what}", 2
    if isinstance(error, NotADirectoryError):
        return f"a file where a folder was expected{what}", 2
    if error.errno == errno.EIO:
        return f"the disk or device does not answer as it should{what}; use a copy in another place", 1
    return None


def _flush() -> None:
    """Flushes stdout; a second flush, by Python itself, cannot fail again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
