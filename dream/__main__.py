"""The command line: `dream train|decode|evaluate|data|export|bench`, or `python -m dream`.

It picks the command and imports that command's file alone; `exit_codes` turns failures into one sentence.
"""

import argparse
import importlib
import sys
import textwrap
from collections.abc import Sequence
from typing import NoReturn

from dream import __version__
from dream.errors import InputError, did_you_mean
from dream.exit_codes import exit_code

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


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of the command line `argv` (by default the process's own)."""
    return exit_code("dream", lambda: _run(list(sys.argv[1:] if argv is None else argv)))


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


if __name__ == "__main__":
    sys.exit(main())
