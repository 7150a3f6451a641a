"""The options that several commands share: one name, one default and one wording for each.

Torch is imported only by `open_device`, so that `--help` answers at once.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.decoding.denoising import DENOISING
from dream.errors import InputError

if TYPE_CHECKING:
    import torch

DEFAULT_SOURCE = "shapes"
DEVICES = ("auto", "cpu", "cuda")
SOURCE_FORMS = (
    "shapes, emoji[:train|val|unseen], a folder, tar shards (a path, a glob or name-{000..007}.tar), "
    "or hf:owner/name[:split]"
)
"""How a source of captioned pictures is named, for help texts."""


def add_model(parser: argparse.ArgumentParser, *, required: bool = True, note: str = "") -> None:
    """Adds `--model PATH`; `note` is appended to the help."""
    parser.add_argument(
        "--model",
        required=required,
        type=Path,
        metavar="PATH",
        help=f"a run, a checkpoint, a shipped model or hf:owner/name{note}",
    )


def add_models(parser: argparse.ArgumentParser) -> None:
    """Adds a repeatable `--model [NAME=]PATH`, a list of texts."""
    parser.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="[NAME=]PATH",
        help="a run, a checkpoint or a shipped model; NAME labels it (default: its folder's name); repeatable",
    )


def add_data(
    parser: argparse.ArgumentParser, *, repeatable: bool = False, note: str = f"default: {DEFAULT_SOURCE}"
) -> None:
    """Adds `--data SRC`: None without it, or an empty list if it is repeatable; `note` tells what that means."""
    help_text = f"{SOURCE_FORMS} ({note})"
    if repeatable:
        parser.add_argument("--data", action="append", default=[], metavar="SRC", help=f"{help_text}; repeatable")
    else:
        parser.add_argument("--data", metavar="SRC", help=help_text)


def add_out(parser: argparse.ArgumentParser, help_text: str, default: Path | None = None) -> None:
    """Adds `--out PATH`, required unless it has a `default`."""
    text = help_text if default is None else f"{help_text} (default: {default})"
    parser.add_argument("--out", required=default is None, default=default, type=Path, metavar="PATH", help=text)


def add_overwrite(parser: argparse.ArgumentParser, help_text: str) -> None:
    """Adds `--overwrite`."""
    parser.add_argument("--overwrite", action="store_true", help=help_text)


def add_raw(parser: argparse.ArgumentParser) -> None:
    """Adds `--raw`, and its older name `--raw-weights`, which the help does not show."""
    parser.add_argument("--raw", action="store_true", help="use the raw weights instead of the averaged ones")
    parser.add_argument("--raw-weights", dest="raw", action="store_true", help=argparse.SUPPRESS)


def add_seed(parser: argparse.ArgumentParser, help_text: str, default: int | None = 0, note: str = "") -> None:
    """Adds `--seed S`; `require_at_least(args, 0, "seed")` checks it."""
    parser.add_argument("--seed", type=int, default=default, metavar="S", help=f"{help_text} (default: 0{note})")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Adds `--device auto|cpu|cuda`; `open_device` turns it into a torch device."""
    parser.add_argument(
        "--device", choices=DEVICES, default=DEVICES[0], help="auto (default) takes a CUDA device if there is one"
    )


def add_assignments(parser: argparse.ArgumentParser, form: str, help_text: str) -> None:
    """Adds `--set FORM ...`, collected in `args.assignments`."""
    parser.add_argument(
        "--set", action="extend", nargs="+", default=[], dest="assignments", metavar=form, help=help_text
    )


def add_denoising(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say how noise becomes tokens; `denoising_of` reads them."""
    add = parser.add_argument
    add("--sampling-steps", type=int, help="denoising steps per token (default: the model's)")
    add("--last-sampling-steps", type=int, help="those in the last reveal step, approached evenly (default: as many)")
    add(
        "--solver",
        metavar="NAME",
        help="ddpm (published; default), ddim or dpm++ of noise heads; euler (default), heun or dpm++ of flow heads",
    )
    add("--time-shift", type=float, help="moves a flow head's times towards noise, 1 = evenly spaced (default: 2)")
    add("--start-time", type=float, help="share of a noise head's times at which denoising starts (default: 1)")
    add(
        "--guidance-interval",
        metavar="LOW,HIGH",
        help="noise levels with guidance, 0 = clean, 1 = noise alone; none is computed elsewhere (default: 0,1)",
    )


def denoising_of(args: argparse.Namespace) -> dict[str, Any]:
    """Fields of `DecodeSettings` that the options of `add_denoising` give; raises InputError for a bad interval."""
    given = {name: value for name in DENOISING if (value := getattr(args, name, None)) is not None}
    if args.guidance_interval is not None:
        try:
            low, high = map(float, args.guidance_interval.split(","))
        except ValueError:
            raise InputError(
                f"--guidance-interval must be two noise levels, for example 0.1,0.8, got '{args.guidance_interval}'"
            ) from None
        given |= {"guidance_low": low, "guidance_high": high}
    return given


def require_at_least(args: argparse.Namespace, least: int, *names: str) -> None:
    """Raises InputError for the first of these options that was given and is below `least`."""
    for name in names:
        value = getattr(args, name)
        if value is not None and value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, got {value}")


def require_at_most(args: argparse.Namespace, most: int, *names: str) -> None:
    """Raises InputError for the first of these options that was given and is above `most`.

    It is for numbers that are turned into lists or memory before the work begins, and for typing errors in them.
    """
    for name in names:
        value = getattr(args, name)
        if value is not None and value > most:
            raise InputError(f"--{name.replace('_', '-')} must be at most {most:,}, got {value}")


def open_device(name: str) -> "torch.device":
    """The device that `--device` names; raises InputError if torch cannot use it here.

    Of several CUDA devices, a process that a launcher started takes the one of its number on the machine.
    """
    import torch

    from dream.training.launchers import local_rank

    if name not in DEVICES:
        raise InputError(f"--device must be one of {', '.join(DEVICES)}, got '{name}'")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch sees no CUDA device here; use --device cpu or auto")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    count = torch.cuda.device_count()
    return torch.device(f"cuda:{local_rank() % count}" if count > 1 else "cuda")
