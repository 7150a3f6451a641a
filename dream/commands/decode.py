"""`dream decode`: paints prompts into a sheet, a folder of pictures or an animated trajectory."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dream.commands.options import (
    add_denoising,
    add_device,
    add_model,
    add_out,
    add_overwrite,
    add_raw,
    add_seed,
    denoising_of,
    open_device,
    require_at_least,
    require_at_most,
)
from dream.errors import InputError
from dream.files import ABANDONED_SECONDS, check_writable, remove_leftovers
from dream.plain_text import require_text

if TYPE_CHECKING:  # `dream decode --help` answers without torch
    from dream.commands.painting import PaintJob
    from dream.config import DreamConfig
    from dream.decoding.settings import DecodeSettings

ROWS_AT_A_TIME = 32
"""Pictures times candidates in one batch."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add_model(parser)
    add(
        "--checkpoint",
        default="best",
        metavar="WHICH",
        help="of a run: best (default; lowest validation loss, or the latest if none was measured), latest, or a step",
    )
    add_raw(parser)
    add("--prompt", action="append", default=[], help="text to paint; repeatable")
    add("--prompts", type=Path, metavar="FILE", help="a text file with one prompt per line")
    add("--count", type=int, default=1, help="pictures per prompt (default: 1)")
    add_seed(parser, "the same seed paints the same pictures")
    add("--steps", type=int, help="reveal steps (default: the model's)")
    add("--guidance", type=float, help="scale of classifier-free guidance, 1 = off (default: the model's)")
    add("--guidance-schedule", choices=("linear", "constant"), help="default: the model's")
    add("--temperature", type=float, help="factor on the sampling noise (default: the model's)")
    add_denoising(parser)
    add("--candidates", type=int, default=1, help="tries per prompt, among which the model chooses (default: 1)")
    add(
        "--select-at",
        help="when candidates are compared: 12.5%%tokens, 12.5%%steps or 8steps (default: 30%%tokens); several, "
        "separated by commas, with --selection halving",
    )
    add("--selection", choices=("once", "every", "halving", "none"), default="once", help="default: once")
    add(
        "--score",
        default="cosine",
        help="what they are compared by: cosine (the paper's, the default), preview, confidence, relevance, critic "
        "(made by dream critic train), or a sum such as critic+cosine",
    )
    _add_departures(parser)
    add("--keep", type=Path, metavar="PICTURE", help="a picture to keep a part of (in- and outpainting)")
    add("--box", help="left,top,right,bottom in pixels of the model's picture: the part of --keep to keep")
    add("--repaint-box", help="left,top,right,bottom: the part of --keep to paint; the rest is kept")
    add("--record", type=Path, metavar="PATH", help="also store the whole decode, as PATH.zarr")
    add("--part", metavar="I/N", help="paint the Ith of N equal shares of the batches into the folder --out, 1 to N")
    add("--resume", action="store_true", help="paint only what the folder --out lacks; several processes may do so")
    add_device(parser)
    add_out(parser, "a sheet (.png), a trajectory (.gif), or a folder of pictures")
    add_overwrite(parser, "replace existing --out and --record")


def _add_departures(parser: argparse.ArgumentParser) -> None:
    """Adds the options that depart from the published decoding."""
    add = parser.add_argument
    add(
        "--orders",
        choices=("shared", "own"),
        default="shared",
        help="whether all tries of a prompt are painted in one order (the paper's, the default) or each in its own",
    )
    add(
        "--repair",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the tokens, those the model is least sure of, that are hidden again and redrawn at the end, for "
        "as many decoder passes (default: 0, none)",
    )
    add(
        "--coarse-steps",
        type=int,
        metavar="STEPS",
        help="steps that paint every second place first, as on a checkerboard; the other steps then fill the rest "
        "(default: all places in one random order)",
    )
    add(
        "--reuse",
        type=int,
        default=1,
        metavar="STEPS",
        help="compute the decoder for all places in every so many steps only, and in between for what changed: faster, "
        "but not the same picture (default: 1, in every step)",
    )


def run(args: argparse.Namespace) -> None:
    """Paints the prompts; raises InputError for invalid arguments before anything is painted."""
    prompts = prompts_given(args.prompt, args.prompts)
    require_at_least(args, 1, "count")
    require_at_most(args, 1_000_000, "count")
    from dream.commands.painting_parts import share_of_painting

    share = share_of_painting(args)
    check_out(args.out, args.overwrite or share is not None)
    if args.record:
        check_record(args.record, args.overwrite)
    remove_leftovers(args.out.parent if args.out.suffix else args.out, ABANDONED_SECONDS)
    from dream.commands.painted_files import write_painted
    from dream.commands.painting import paint_job, say_readings
    from dream.commands.painting_parts import paint_parts
    from dream.training.checkpoint import read_state

    folder = _checkpoint(args.model, args.checkpoint)
    config = read_state(folder).config
    kept = _kept_cells(args, config)
    settings = _settings(args, config, config.image.num_tokens - (int(kept.sum()) if kept is not None else 0))
    job = _load(args, folder, prompts, settings, kept)
    if share is not None:
        paint_parts(job, args.out, share)
        return
    say_readings(job)
    gallery = paint_job(job, every_step=args.out.suffix.lower() == ".gif", record=args.record, overwrite=args.overwrite)
    write_painted(job, gallery, args.out)


def prompts_given(given: list[str], file: Path | None) -> list[str]:
    """The prompts of --prompt and of the lines of --prompts; raises InputError for none, or an empty one."""
    prompts = [" ".join(require_text(prompt, "--prompt").split()) for prompt in given]
    if "" in prompts:
        raise InputError("--prompt is empty; say what to paint")
    if file is not None:
        if not file.is_file():
            raise InputError(f"--prompts: there is no file {file}")
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{file} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8"
            ) from None
        lines = [require_text(line, f"line {number} of {file}") for number, line in enumerate(lines, start=1)]
        listed = [" ".join(line.split()) for line in lines if line.strip()]
        if not listed:
            raise InputError(f"{file} holds no prompt; expected one per line")
        prompts += listed
    if not prompts:
        raise InputError("nothing to paint: give --prompt TEXT (repeatable) or --prompts FILE")
    return prompts


def check_out(out: Path, overwrite: bool) -> None:
    """Raises InputError if `out` has an unknown ending, exists, or cannot be written."""
    suffix = out.suffix.lower()
    if suffix not in ("", ".png", ".gif"):
        raise InputError(f"--out must end in .png (a sheet) or .gif (the trajectory), or be a folder, got '{out}'")
    if suffix and out.is_dir():
        raise InputError(f"--out {out} is a folder; choose another name for the {suffix[1:].upper()}")
    if not suffix and out.exists() and not out.is_dir():
        raise InputError(f"--out {out} is a file; choose a name that ends in .png or .gif, or the name of a folder")
    if (out.exists() if suffix else out.is_dir() and any(out.iterdir())) and not overwrite:
        raise InputError(f"--out {out} already exists; choose another name, or give --overwrite to replace it")
    check_writable(out if out.is_dir() else out.parent)


def check_record(path: Path, overwrite: bool) -> None:
    """Raises InputError if the record cannot be put at `path`."""
    from dream.decoding.record_writer import refuse_existing

    if path.suffix != ".zarr":
        raise InputError(f"--record must end in .zarr, got '{path}'")
    refuse_existing(path, overwrite)
    check_writable(path.parent, "--record")


def _checkpoint(model: Path, which: str) -> Path:
    """The checkpoint to open; of a run, says on stderr which one that is."""
    from dream.pretrained import pick_checkpoint
    from dream.training.checkpoint import list_checkpoints, read_state

    folder = pick_checkpoint(model, which)
    if among := len(list_checkpoints(model)):
        state = read_state(folder)
        loss = "no validation loss" if state.validation_loss is None else f"validation loss {state.validation_loss:.4g}"
        best = which == "best" and state.validation_loss is not None
        choice = "one" if which.isdecimal() else "the best" if best else "the latest"
        _say(f"opening the checkpoint of step {state.step:,} ({loss}), {choice} of {among}")
    return folder


def _kept_cells(args: argparse.Namespace, config: "DreamConfig") -> Any:
    """(N,) bool: cells of --keep that are kept; None without it."""
    from dream.decoding import editing

    if not args.keep:
        if args.box or args.repaint_box:
            raise InputError("--box and --repaint-box need a picture: give it with --keep PICTURE")
        return None
    if bool(args.box) == bool(args.repaint_box):
        raise InputError("--keep takes either --box (the part to keep) or --repaint-box (the part to paint)")
    if args.box:
        return editing.inside(editing.parse_box(args.box, config.image.size), config.image)
    return ~editing.touched(editing.parse_box(args.repaint_box, config.image.size), config.image)


def _settings(args: argparse.Namespace, config: "DreamConfig", hidden: int) -> "DecodeSettings":
    """The settings of the command line; the model's own for those that are not given."""
    from dream.decoding.selection import DEFAULT_SELECT_AT, parse_select_points
    from dream.decoding.settings import DecodeSettings

    given = {
        "steps": args.steps,
        "guidance_scale": args.guidance,
        "guidance_schedule": args.guidance_schedule,
        "temperature": args.temperature,
    }
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes |= denoising_of(args)
    changes |= {"score": args.score, "orders": args.orders, "candidates": args.candidates, "seed": args.seed}
    changes |= {"reuse": args.reuse, "coarse_steps": args.coarse_steps}
    one: dict[str, Any] = {} if args.candidates > 1 else {"repair": args.repair}
    # checks everything but the selection
    plain = DecodeSettings.of(config.decode, **changes, **one, selection="none")
    plain.head(config.head)  # refuses solvers and numbers of denoising steps that the model's head cannot have
    if args.candidates == 1 or args.selection == "none":
        if args.select_at:
            why = "--candidates is 1" if args.candidates == 1 else "--selection none compares none"
            raise InputError(f"--select-at needs candidates to choose among, and {why}")
        return replace(plain, repair=args.repair)
    one_try = replace(plain, candidates=1, repair=args.repair)  # its steps, those of a repair left out
    text, tokens = args.select_at or DEFAULT_SELECT_AT, config.image.num_tokens
    points = parse_select_points(text, args.selection, args.candidates, one_try, tokens, hidden)
    start = "from" if args.selection == "every" else "at"
    default = "" if args.select_at else f" (--select-at {DEFAULT_SELECT_AT}, the default)"
    places = ", ".join(map(str, points))
    _say(f"comparing {args.candidates} candidates {start} {places} of {one_try.reveal_steps} steps{default}")
    chosen: dict[str, Any] = {"selection": args.selection, "select_steps": tuple(point.step for point in points)}
    return replace(plain, **chosen, repair=args.repair)


def _load(
    args: argparse.Namespace, folder: Path, prompts: list[str], settings: "DecodeSettings", kept: Any
) -> "PaintJob":
    from dream.commands.painting import PaintJob
    from dream.decoding import editing
    from dream.decoding.paint import PaintPlan
    from dream.pretrained import load_pretrained
    from dream.randomness import generator

    pretrained = load_pretrained(folder, ema=not args.raw).to(open_device(args.device))
    given = None
    if kept is not None:
        picture = editing.open_square(args.keep, pretrained.config.image.size)
        given = editing.keep_tokens(pretrained.image_tokenizer, picture, kept, generator(settings.seed, "kept picture"))
    plan = PaintPlan(
        prompts=[prompt for prompt in prompts for _ in range(args.count)],
        settings=settings,
        picture_ids=[number for _ in prompts for number in range(args.count)],
        batch_size=max(1, ROWS_AT_A_TIME // settings.candidates),
    )
    return PaintJob(pretrained, plan, given)


def _say(text: str) -> None:
    """Prints a line on stderr."""
    from dream.console import Console

    Console(True).say(text)
