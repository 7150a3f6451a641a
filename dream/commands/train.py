"""`dream train`: turns the command line into a training request and runs it."""

import argparse
import signal
import time
from dataclasses import replace
from pathlib import Path

from dream.commands import options
from dream.config import DreamConfig
from dream.console import print_out
from dream.errors import InputError
from dream.overrides import override
from dream.presets import OBJECTIVES, SIZES, preset
from dream.training.stopping import early_stop

DEFAULT_PRESET, DEFAULT_OBJECTIVE = "tiny", "dream"
AUTO = "auto"
"""The value of `--resume` that starts or continues a run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add = parser.add_argument
    options.add_out(parser, "the run's folder, e.g. runs/shapes")
    options.add_data(parser, note="required for a new run; --resume keeps the run's own")
    add("--preset", metavar="NAME", help=f"{', '.join(SIZES)} (default: {DEFAULT_PRESET})")
    add("--objective", metavar="NAME", help=f"{', '.join(OBJECTIVES)} (default: {DEFAULT_OBJECTIVE})")
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, metavar="M", help="wall-clock budget; with --resume: further minutes")
    budget.add_argument("--steps", type=int, metavar="N", help="optimiser steps; with --resume: further steps")
    budget.add_argument("--total-steps", type=int, metavar="N", help="optimiser steps of the whole run, resumed or not")
    budget.add_argument("--total-minutes", type=float, metavar="M", help="minutes that the whole run is planned for")
    options.add_assignments(parser, "section.key=value", "change any setting, e.g. --set masking.std=0.3 train.lr=1e-3")
    options.add_seed(parser, "seed of everything drawn", default=None, note="; with --resume: the run's own")
    add(
        "--resume",
        nargs="?",
        const=True,
        default=False,
        metavar="CHECKPOINT",
        help="continue the run in --out, from its newest checkpoint or the given one, e.g. step-00001200; `auto` "
        "starts the run if there is none yet, and does nothing if it is finished",
    )
    add(
        "--start-from",
        type=Path,
        metavar="MODEL",
        help="a new run that begins with the averaged weights, the vocabulary and the settings of a run, a checkpoint "
        "or a shipped model, and with the mask ratios at which its warm-up ended",
    )
    options.add_overwrite(parser, "delete the run in --out and start again")
    add("--devices", default="auto", metavar="N", help="number of devices, or auto (default)")
    add("--num-nodes", type=int, default=1, metavar="N", help="number of machines (default: 1)")
    add("--strategy", default="auto", metavar="NAME", help="auto (default), ddp or fsdp")
    add("--accelerator", default="auto", metavar="NAME", help="auto (default), cpu, cuda or mps")
    add(
        "--log",
        metavar="NAMES",
        help="loggers next to the run's own files: csv, tensorboard, wandb, trackio, by commas",
    )
    add("--precision", metavar="P", help="32-true (default) or bf16-mixed")


def run(args: argparse.Namespace) -> None:
    """Trains, then prints the run's folder and the command that uses or continues it."""
    with early_stop():
        _run(args, time.monotonic())


def _run(args: argparse.Namespace, started: float) -> None:
    if args.start_from is not None:
        from dream.pretrained import checkpoint_of

        args.start_from = checkpoint_of(args.start_from)
    config, name = _configuration(args)
    from dream.training.loop import train
    from dream.training.request import TrainRequest

    request = TrainRequest(
        out=args.out,
        source=args.data,
        config=config,
        preset=name,
        minutes=args.minutes,
        steps=args.steps,
        total_steps=args.total_steps,
        total_minutes=args.total_minutes,
        start_from=args.start_from,
        resume=bool(args.resume),
        auto=args.resume == AUTO,
        checkpoint=args.resume if isinstance(args.resume, str) and args.resume != AUTO else None,
        overwrite=args.overwrite,
        devices=args.devices,
        num_nodes=args.num_nodes,
        strategy=args.strategy,
        accelerator=args.accelerator,
        loggers=tuple(name.strip() for name in (args.log or "").split(",") if name.strip()),
        started=started,
    )
    result = train(request)
    if result.rank != 0:
        return
    if result.stopped_by is None:
        paint = f'dream decode --model {result.folder} --prompt "..." --out sheet.png'
        print_out(f"trained to step {result.step}; to paint with the model: {paint}")
        return
    end = f" of {result.end}" if result.end else ""
    print_out(f"stopped at step {result.step}{end} and saved; continue with --out {result.folder} --resume")
    if result.stopped_by == signal.SIGINT:
        raise KeyboardInterrupt


def _configuration(args: argparse.Namespace) -> tuple[DreamConfig, str]:
    """The configuration that the options describe, and its name.

    A resumed run keeps its own, with --set applied to it; a preset or objective given again must fit it.
    """
    size, objective = args.preset or DEFAULT_PRESET, args.objective or DEFAULT_OBJECTIVE
    changes = _assignments(args)
    named = override(preset(size, objective), changes)
    name = size if objective == DEFAULT_OBJECTIVE else f"{size}-{objective}"
    from dream.training.run_log import holds_run

    continues = bool(args.resume) and (args.resume != AUTO or holds_run(args.out))
    if args.start_from is not None and not (continues and args.resume == AUTO):
        return _going_on(args, changes)
    if not continues:
        return named, name
    from dream.training.request import stored_config

    stored = stored_config(args.out)
    if args.preset or args.objective:
        from dream.training.request import check_continues

        check_continues(args.out, stored, named)
    return override(stored, changes), name


def _going_on(args: argparse.Namespace, changes: list[str]) -> tuple[DreamConfig, str]:
    """The settings of the model that `--start-from` names, at the end of its warm-up, with `changes`; and a name."""
    if args.preset or args.objective:
        raise InputError("--start-from takes the model's own settings: leave out --preset and --objective")
    from dream.training.checkpoint import read_state

    config = read_state(args.start_from).config
    warm = replace(
        config,
        masking=replace(config.masking, center_start=config.masking.center_end),
        train=replace(config.train, tune="all"),
    )
    return override(warm, changes), _preset_of(args.start_from)


def _preset_of(folder: Path) -> str:
    """The preset that a model's record names; `custom` if it has none."""
    from dream.json_text import read_json_object
    from dream.publishing.export import RECORD

    records = [place for place in (folder / RECORD, folder.parents[1] / "config.json") if place.is_file()]
    return str(read_json_object(records[0]).get("preset", "custom")) if records else "custom"


def _assignments(args: argparse.Namespace) -> list[str]:
    """The assignments of --set and of its short forms."""
    from dream.training.launchers import launcher_precision

    options.require_at_least(args, 0, "seed")
    short = {"train.seed": args.seed, "train.precision": args.precision or launcher_precision()}
    return [*args.assignments, *(f"{key}={value}" for key, value in short.items() if value is not None)]
