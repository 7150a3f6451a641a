"""`dream critic train`: trains the critic of a model, which ranks its unfinished candidates."""

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dream.commands import options
from dream.console import Console, duration, print_out
from dream.errors import InputError
from dream.files import check_writable

ACTIONS = ("train",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add = parser.add_argument
    add("action", help="train: make the critic of a model")
    options.add_model(parser)
    options.add_raw(parser)
    options.add_data(parser, note="default: what the model was trained on")
    add(
        "--from",
        dest="origin",
        choices=("decodes", "pictures"),
        default="decodes",
        help="learn from the model's own decodes, towards the judge or the finished cosine (default), or from the "
        "training pictures, to name the phrases between the commas of their captions",
    )
    add("--pictures", type=int, default=20_000, metavar="N", help="pictures to learn from at most (default: 20000)")
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
    """Trains and stores the critic; Ctrl-C ends decoding or looking, and trains on what there is."""
    if args.action not in ACTIONS:
        raise InputError(f"unknown action '{args.action}': write dream critic train --model MODEL")
    options.require_at_least(args, 10, "prompts")
    options.require_at_least(args, 100, "pictures")
    options.require_at_least(args, 2, "candidates")
    options.require_at_most(args, 1_000_000, "prompts", "pictures")
    options.require_at_least(args, 0, "seed")
    if args.minutes is not None and not args.minutes > 0:
        raise InputError(f"--minutes must be above 0, got {args.minutes:g}")
    from dream.decoding.critic import FILE, critic_path, own_folder, save_critic
    from dream.evaluation.painted.critic_training import train_critic
    from dream.evaluation.painted.phrase_training import train_phrase_critic
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

        def until() -> bool:
            return bool(request) or bool(args.minutes and time.monotonic() - begun > 60 * args.minutes)

        if args.origin == "pictures":
            trained = train_phrase_critic(
                pretrained, data, count=args.pictures, seed=args.seed, until=until, progress=progress
            )
        else:
            trained = train_critic(
                pretrained,
                data,
                count=args.prompts,
                candidates=args.candidates,
                seed=args.seed,
                until=until,
                progress=progress,
            )
    path = save_critic(trained.critic, trained.about, folder)
    console.say(_learned(trained.about))
    print_out(f"wrote {path}")


def _learned(about: Mapping[str, Any]) -> str:
    spent = duration(about["seconds"])
    if "pictures" in about:
        return (
            f"learned from {about['pictures']:,} pictures in {spent}, towards {about['towards']}; of held-out "
            f"pictures, mostly hidden ones included, it names them all in {about['held_out_named']:.2f}"
        )
    return (
        f"learned from {about['prompts']} prompts x {about['candidates']} candidates in {spent}, towards "
        f"{about['towards']}; rank correlation with it on held-out prompts {about['held_out_rank_correlation']:.2f}"
    )
