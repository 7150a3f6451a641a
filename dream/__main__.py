"""The command line: `dream train|decode|evaluate|data|export|bench`, or `python -m dream`.

It picks the command, imports that command's file alone, and turns what goes wrong into one sentence on
stderr and an exit code: 2 for bad input, 1 for a failure while running, 130 after Ctrl-C. It knows nothing of
what the commands do.
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
    "decode": "paint pictures from prompts, and choose among candidates on the way",
    "evaluate": "measure trained models side by side: what they see, find, paint and choose",
    "data": "say what a source of pictures holds, and what in it is broken",
    "export": "make a small folder of a trained model, to use or to hand on",
    "bench": "time training and decoding beside the published algorithm",
}

EXAMPLES = """\
dream decode --model demo --prompt "a red circle above a blue square on a white background" --out sheet.png
dream train --preset tiny --data shapes --minutes 10 --out runs/shapes
dream evaluate --model demo --model runs/shapes --tasks edits,prompts
"""

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of the command line `argv` (by default the process's own)."""
    try:
        try:
            _run(list(sys.argv[1:] if argv is None else argv))
        finally:
            _flush()  # a closed pipe is noticed here, not when Python ends
        return 0
    except BrokenPipeError:  # whoever read our output has gone, as in `dream data SRC | head`
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except Exception as error:
        if os.environ.get("DREAM_DEBUG") == "1":
            traceback.print_exc()
        return _say(*_sentence(error))


class CommandParser(argparse.ArgumentParser):
    """A parser whose complaints are one sentence, like all others of `dream`."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see '{self.prog} --help'")

    def parse_all(self, arguments: Sequence[str]) -> argparse.Namespace:
        """The parsed arguments; one that is not known is named with the nearest that is."""
        args, unknown = self.parse_known_args(arguments)
        if unknown:
            known = [option for action in self._actions for option in action.option_strings]
            name = unknown[0].partition("=")[0]
            what = "option" if name.startswith("-") else "argument"
            self.error(f"unknown {what} '{name}'{did_you_mean(name, known)}")
        return args


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0].startswith("-"):
        parser = _top_parser()
        if not arguments:
            parser.error("which command? " + ", ".join(COMMANDS))
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
    """What to tell the user about `error` (or, if that is unknown, about its cause), and the exit code."""
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
        for number in (*_DISK_FULL, *_NOT_WRITABLE):
            if f"os error {number})" in str(error):
                return _known_os_error(OSError(number, os.strerror(number)))
        return f"a weights file is damaged or is not a safetensors file ({error})", 2
    return None


def _known_os_error(error: OSError) -> tuple[str, int] | None:
    what = f": {error.filename}" if error.filename else f" ({error})"
    if error.errno in _DISK_FULL:
        return f"the disk is full{what}; free some space and run the command again", 1
    if error.errno in _NOT_WRITABLE:
        return f"no permission to read or write{what}; choose another place or change its rights", 2
    if isinstance(error, FileNotFoundError):
        return f"no such file or folder{what}", 2
    if isinstance(error, FileExistsError):
        return f"already there, and left as it is{what}", 2
    if isinstance(error, IsADirectoryError):
        return f"a folder where a file was expected{what}", 2
    if isinstance(error, NotADirectoryError):
        return f"a file where a folder was expected{what}", 2
    return None


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:  # Python's own last flush must not fail once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _say(sentence: str, code: int) -> int:
    print(f"dream: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
