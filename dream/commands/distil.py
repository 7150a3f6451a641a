"""`dream distil`: distils a trained model's diffusion head into one to four denoising steps."""

import argparse
import time
from typing import TYPE_CHECKING

from dream.commands import options
from dream.console import Console, duration, print_out
from dream.errors import InputError
from dream.files import check_writable

if TYPE_CHECKING:  # `dream distil --help` answers without torch
    from dream.distilling.run import Distillation, DistilRequest
    from dream.model.pretrained import Pretrained

DEFAULT_STEPS = 2000
MOST_STEPS, MOST_TEACHER_STEPS, MOST_MINUTES = 16, 1000, 100_000
GUIDANCE = ("folded", "kept")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    options.add_model(parser, note="; the teacher, of which the head alone is trained on")
    options.add_raw(parser)
    options.add_out(parser, "the folder of the new model, which every command opens")
    add("--sampling-steps", type=int, default=1, metavar="N", help="denoising steps of the new head (default: 1)")
    add(
        "--steps", type=int, metavar="S", help=f"optimiser steps, rounded up to whole rounds (default: {DEFAULT_STEPS})"
    )
    add("--minutes", type=float, metavar="M", help="the time instead, converted to rounds after the first two")
    options.add_data(parser, note="default: what the model was trained on")
    add(
        "--guidance",
        choices=GUIDANCE,
        default=GUIDANCE[0],
        help="folded (default): the new head paints guided pictures without guidance, so that decoding needs one pass "
        "of the decoder instead of two; kept: it is guided as its teacher",
    )
    add("--teacher-steps", type=int, default=16, metavar="T", help="the teacher's own steps at least (default: 16)")
    add("--lr", type=float, default=3e-4, help="peak learning rate (default: 0.0003)")
    options.add_seed(parser, "seed of pictures, decoding steps and noise")
    options.add_device(parser)
    add("--resume", action="store_true", help="go on with the distillation at --out; more --steps extend it")
    options.add_overwrite(parser, "replace a model at --out")


def run(args: argparse.Namespace) -> None:
    """Distils; Ctrl-C saves and stops, and --resume goes on."""
    _check(args)
    from dream.distilling.run import STEPS_PER_ROUND, DistilRequest, distil, read_distillation
    from dream.pretrained import load_pretrained
    from dream.training.checkpoint import read_state
    from dream.training.stopping import stop_signals

    console, begun = Console(True), time.monotonic()
    teacher = load_pretrained(args.model, ema=not args.raw)
    data = args.data or read_state(teacher.path).source
    request = DistilRequest(
        model=str(args.model),
        data=data,
        sampling_steps=args.sampling_steps,
        teacher_steps=args.teacher_steps,
        folded=args.guidance == "folded",
        lr=args.lr,
        seed=args.seed,
    )
    if args.resume:
        _same(request, read_distillation(args.out))
    work = _begin(args, request, teacher)
    steps = args.steps
    if steps is None and args.minutes is None and not work.rounds:
        steps = DEFAULT_STEPS
    rounds = None if steps is None else -(-steps // STEPS_PER_ROUND)

    def progress(done: float, doing: str) -> None:
        passed = time.monotonic() - begun
        left = f", {duration(passed * (1 - done) / done)} left" if work.rounds and done > 0.01 else ""
        console.progress(f"{doing}{left}")

    with stop_signals() as requested:
        about = distil(work, args.out, rounds, args.minutes, lambda: bool(requested), progress)
    console.say(
        f"{args.sampling_steps} denoising steps differ from the teacher's tokens by {about['error']:.3f} of their "
        f"variance, by {about['error_at_start']:.3f} before; {about['steps']:,} steps in {duration(about['seconds'])}"
    )
    if about["round"] < about["rounds"]:
        console.say(
            f"stopped after round {about['round']} of {about['rounds']}: the same command with --resume goes on"
        )
    print_out(f"wrote {args.out}")


def _check(args: argparse.Namespace) -> None:
    options.require_at_least(args, 1, "sampling_steps", "steps", "teacher_steps")
    options.require_at_least(args, 0, "seed")
    if args.sampling_steps > MOST_STEPS:
        raise InputError(
            f"--sampling-steps must be at most {MOST_STEPS}: a distilled head has few, got {args.sampling_steps}"
        )
    if not args.sampling_steps <= args.teacher_steps <= MOST_TEACHER_STEPS:
        raise InputError(
            f"--teacher-steps must be at least --sampling-steps, at most {MOST_TEACHER_STEPS}, got {args.teacher_steps}"
        )
    if args.minutes is not None and not 0 < args.minutes < MOST_MINUTES:
        raise InputError(f"--minutes must be above 0 and below {MOST_MINUTES:,}, got {args.minutes:g}")
    if args.steps is not None and args.minutes is not None:
        raise InputError("give --steps or --minutes, not both")
    if not 0 < args.lr < 1:
        raise InputError(f"--lr must be in (0, 1), got {args.lr:g}")
    check_writable(args.out.parent)
    if args.out.exists() and not args.resume:
        if not args.overwrite:
            raise InputError(
                f"{args.out} exists already: choose another --out, go on with --resume, or give --overwrite"
            )
        if not (args.out / "state.json").is_file():
            raise InputError(f"{args.out} is not a model, so it is not replaced: choose another --out")


def _same(request: "DistilRequest", about: dict[str, object]) -> None:
    """Raises InputError if a stored distillation is another one than the request's."""
    for name in ("data", "sampling_steps", "teacher_steps", "folded", "lr", "seed"):
        if about.get(name) != getattr(request, name):
            word = "guidance" if name == "folded" else name.replace("_", "-")
            raise InputError(
                f"--resume goes on with the same settings, but {word} was {about.get(name)} and is now "
                f"{getattr(request, name)}"
            )


def _begin(args: argparse.Namespace, request: "DistilRequest", teacher: "Pretrained") -> "Distillation":
    """The distillation at its start, or where the one at --out stopped."""
    from dream.distilling.run import Distillation, read_distillation
    from dream.training.devices import Fabric

    device = options.open_device(args.device)
    fabric = Fabric(accelerator=device.type, devices=1)
    work = Distillation(teacher.to(device), request, fabric)
    if args.resume:
        if read_distillation(args.out).get("teacher_id") != teacher.model_id:
            raise InputError(
                f"{args.out} was distilled from other weights than those of {args.model}: leave --resume out"
            )
        work.restore(args.out)
    return work
