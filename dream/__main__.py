"""The command line: `dream train|decode|evaluate|data|export|bench`, or `python -m dream`.

It imports only the file of the given command, and turns every failure into one sentence on stderr and an exit
code: 2 for bad input, 1 for a failure while running, 130 after Ctrl-C.
"""

import argparse
import errno
import importlib
import os
import signal
import sys
import textwrap
import traceback
from collections.abc import Sequence
from typing import NoReturn

from dream import __version__
from dream.errors import InputError, RunError, did_you_mean

COMMANDS = {
    "train": "train a model on captioned pictures",
    "decode": "paint pictures from prompts, optionally choosing among candidates",
    "evaluate": "measure trained models side by side, on tasks of recognition, retrieval and painting",
    "data": "describe a source of captioned pictures, and list what is broken in it",
    "export": "write a trained model to a small folder, to use or to share",
    "bench": "time training and decoding against the published algorithm",
}

EXAMPLES = """\
dream decode --model demo --prompt "a red circle above a blue square on a white background" --out sheet.png
dream train --preset tiny --data shapes --minutes 10 --out runs/shapes
dream evaluate --model demo --model runs/shapes --tasks edits,prompts
"""

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (by default the process's own) and returns the exit code."""
    try:
        try:
            _run(list(sys.argv[1:] if argv is None else argv))
        finally:
            _flush()  # notices a closed pipe now, not when Python exits
        return 0
    except BrokenPipeError:  # the reader of our output has exited, as in `dream data SRC | head`
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except Exception as error:
        if os.environ.get("DREAM_DEBUG") == "1":
            traceback.print_exc()
        return _say(*_sentence(error))


class CommandParser(argparse.ArgumentParser):
    """A parser that raises InputError with one sentence, like every other failure of `dream`."""

    def error(self, message: str) -> NoReturn:
        """Raises InputError with the message and where to find help."""
        raise InputError(f"{message}; see '{self.prog} --help'")

    def parse_all(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The parsed arguments; the error for an unknown one names the nearest known option."""
        args, unknown = self.parse_known_args(arguments)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            name = unknown[0].partition("=")[0]
            kind = "option" if name.startswith("-") else "argument"
            self.error(f"unknown {kind} '{name}'{did_you_mean(name, known)}")
        return args


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0].startswith("-"):
        parser = _top_parser()
        if not arguments:
            parser.error("give a command: " + ", ".join(COMMANDS))
        parser.parse_all(arguments)
        return
    name, *rest = arguments
    if name not in COMMANDS:
        raise InputError(f"unknown command '{name}'{did_you_mean(name, COMMANDS)} (commands: {', '.join(COMMANDS)})")
    command = importlib.import_module(f"dream.commands.{name}")
    summary = COMMANDS[name]
    description = f"{summary[0].upper()}{summary[1:]}."
    parser = CommandParser(prog=f"dream {name}", description=description, allow_abbrev=False)
    command.add_arguments(parser)
    command.run(parser.parse_all(rest))


def _top_parser() -> CommandParser:
    commands = "\n".join(f"  {name:<10}{summary}" for name, summary in COMMANDS.items())
    examples = textwrap.indent(EXAMPLES, "  ")
    parser = CommandParser(
        prog="dream",
        usage="dream COMMAND [options]",
        description=f"One model that aligns pictures with captions and paints them.\n\ncommands:\n{commands}",
        epilog=f"examples:\n{examples}\n'dream COMMAND --help' lists a command's options.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"dream-workbench {__version__}")
    return parser


def _sentence(error: BaseException) -> tuple[str, int]:
    """A sentence about `error`, or about its cause if the error itself is unknown, and the exit code."""
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
    if isinstance(error, SafetensorError):  # has the error number in its text only
        for number in (*_DISK_FULL, *_NOT_WRITABLE):
            if f"os error {number})" in str(error):
                return _known_os_error(OSError(number, os.strerror(number)))
        return f"a weights file is damaged or is not a safetensors file ({error})", 2
    return None


def _known_os_error(error: OSError) -> tuple[str, int] | None:
    place = f": {error.filename}" if error.filename else f" ({error})"
    if error.errno in _DISK_FULL:
        return f"the disk is full{place}; free some space and run the command again", 1
    if error.errno in _NOT_WRITABLE:
        return f"no permission to read or write{place}; choose another place or change its permissions", 2
    if isinstance(error, FileNotFoundError):
        return f"no such file or folder{place}", 2
    if isinstance(error, FileExistsError):
        return f"exists already, and was left as it is{place}", 2
    if isinstance(error, IsADirectoryError):
        return f"a folder where a file was expected{place}", 2
    if isinstance(error, NotADirectoryError):
        return f"a file where a folder was expected{place}", 2
    return None


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:  # Python's own last flush must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _say(sentence: str, code: int) -> int:
    print(f"dream: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
