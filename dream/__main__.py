"""The command line: `dream COMMAND`, or `python -m dream COMMAND`.

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
from dream.fields import LARGEST_WHOLE

COMMANDS = {
    "train": "train a model on captioned pictures",
    "decode": "paint pictures from prompts, optionally choosing among candidates",
    "evaluate": "measure trained models side by side, on tasks of recognition, retrieval and painting",
    "critic": "train a model's critic, which ranks its unfinished candidates",
    "distil": "distil a model's diffusion head into one to four denoising steps",
    "data": "describe a source of captioned pictures, and list what is broken in it",
    "plan": "forecast memory, hours, energy and disk of a training",
    "cache": "compute latents and text ids of a source once, to train from",
    "import": "turn weights of the authors, of MAR or of open_clip into a model",
    "export": "write a trained model to a small folder, to use or to share",
    "publish": "write a model for others with its card, and upload it",
    "bench": "time training and decoding against the published algorithm",
}

FILES = {"import": "importing"}
"""Commands whose file cannot have their name."""

EXAMPLES = """\
dream decode --model demo --prompt "a red circle above a blue square on a white background" --out sheet.png
dream train --preset tiny --data shapes --minutes 10 --out runs/shapes
dream evaluate --model demo --model runs/shapes --tasks edits,prompts
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of the command line `argv` (by default the process's own)."""
    return exit_code("dream", lambda: _run(list(sys.argv[1:] if argv is None else argv)))


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
        for name, value in vars(args).items():
            if isinstance(value, int) and not -LARGEST_WHOLE < value < LARGEST_WHOLE:
                self.error(f"--{name.replace('_', '-')} must be a whole number below 2^63, got {str(value)[:20]}...")
        return args


def _run(arguments: list[str]) -> None:
    if zero := [argument for argument in arguments if "\0" in argument]:
        raise InputError(f"an argument must not contain a zero byte, got '{zero[0]}'")
    if not arguments or arguments[0].startswith("-"):
        parser = _top_parser()
        if not arguments:
            parser.error("give a command: " + ", ".join(COMMANDS))
        parser.parse_all(arguments)
        return
    name, *rest = arguments
    if name not in COMMANDS:
        raise InputError(f"unknown command '{name}'{did_you_mean(name, COMMANDS)} (commands: {', '.join(COMMANDS)})")
    command = importlib.import_module(f"dream.commands.{FILES.get(name, name)}")
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
