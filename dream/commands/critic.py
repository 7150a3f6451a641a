"""`dream critic train`: trains the critic of a model, which ranks its unfinished candidates."""

import argparse
import time
from pathlib import Path

from dream.commands import options
from dream.console import Console, duration, print_out
from dream.errors import InputError
from dream.files import check_writable

ACTIONS = ("train",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("action", help="train: make the critic of a model from its own decodes")
    options.add_model(parser)
    options.add_raw(parser)
    options.add_data(parser, note="default: what the model was trained on")
    add("--prompts", type=int, default=320, metavar="P", help="prompts to learn from (default: 320)")
    add("--candidates", type=int, default=8, metavar="K", help="finished candidates per prompt (default: 8)")
    add("--minutes", type=float, metavar="M", help="decode no longer than this, however many prompts are left")
    add(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="where the critic is kept (default: next to the model's weights; of a shipped model, in the user's cache)",
    )
    options.add_seed(parser, "seed of prompts, decodes and training")
    options.add_device(parser)
    options.add_overwrite(parser, "replace a critic of these weights")


def run(args: argparse.Namespace) -> None:
    """Trains and stores the critic; Ctrl-C stops decoding and trains on what is decoded."""
    if args.action not in ACTIONS:
        raise InputError(f"unknown action '{args.action}': write dream critic train --model MODEL")
    options.require_at_least(args, 10, "prompts")
    options.require_at_least(args, 2, "candidates")
    options.require_at_least(args, 0, "seed")
    if args.minutes is not None and not args.minutes > 0:
        raise InputError(f"--minutes must be above 0, got {args.minutes:g}")
    from dream.decoding.critic import FILE, critic_path, own_folder, save_critic
    from dream.evaluation.painted.critic_training import train_critic
    from dream.pretrained import load_pretrained
    from dream.training.checkpoint import read_state
    from dream.training.stopping import stop_signals

    pretrained = load_pretrained(args.model, ema=not args.raw).to(options.open_device(args.device))
    folder = args.out or own_folder(pretrained)
    existing = folder / FILE if args.out and (folder / FILE).exists() else None if args.out else critic_path(pretrained)
    if existing is not None and not args.overwrite:
        raise InputError(f"there is a critic of {args.model} already, {existing}: replace it with --overwrite")
    check_writable(folder)
    data = args.data or read_state(pretrained.path).source
    console, begun = Console(True), time.monotonic()

    def progress(done: float, doing: str) -> None:
        passed = time.monotonic() - begun
        if args.minutes:
            done = max(done, min(0.95, passed / (60 * args.minutes)))
        left = f", {duration(passed * (1 - done) / done)} left" if done > 0.01 else ""
        console.progress(f"{doing}: {done:.0%}{left}")

    with stop_signals() as request:
        trained = train_critic(
            pretrained,
            data,
            count=args.prompts,
            candidates=args.candidates,
            seed=args.seed,
            until=lambda: bool(request) or (args.minutes and time.monotonic() - begun > 60 * args.minutes) or False,
            progress=progress,
        )
    path, about = save_critic(trained.critic, trained.about, folder), trained.about
    console.say(
        f"learned from {about['prompts']} prompts x {about['candidates']} candidates in {duration(about['seconds'])}, "
        f"towards {about['towards']}; rank correlation with it on held-out prompts "
        f"{about['held_out_rank_correlation']:.2f}"
    )
    print_out(f"wrote {path}")
