"""Finds races that tell something: `python -m workbench.trajectories.telling --model emoji`.

Paints all candidates of many prompts as the Trajectories page paints them, judges the finished ones, and prints the
prompts where the choice is right among few right ones, and those where it is wrong among several.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from dream.__main__ import CommandParser
from dream.commands import options
from dream.console import Console, print_out
from dream.decoding.paint import paint_iter
from dream.decoding.selection import DEFAULT_SELECT_AT, parse_select_at
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.evaluation.judging.interface import PictureJudge
from dream.evaluation.judging.worlds import needed_judge
from dream.exit_codes import exit_code
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

TOGETHER = 8
"""Prompts painted at a time."""
FEW = 3
"""A choice is found where at most so many candidates are right, and missed where at least so many are."""


class Telling(NamedTuple):
    """A race, and how many of its candidates came out right."""

    prompt: str
    seed: int
    right: tuple[bool, ...]
    chosen: int
    outcome: str

    @property
    def kind(self) -> str:
        """What it tells; empty if nothing."""
        good = sum(self.right)
        if self.right[self.chosen]:
            return "found" if 0 < good <= FEW else ""
        return "missed" if good >= FEW else ""


def telling_races(
    pretrained: "Pretrained",
    judge: PictureJudge,
    prompts: Sequence[str],
    settings: DecodeSettings,
    select_step: int,
    outcome: str,
) -> Iterator[Telling]:
    """Races of these prompts, each painted alone as on the page: its picture has the id 0.

    `settings` finish all candidates; the choice is that of their score after `select_step`.
    """
    k = settings.candidates
    for first in range(0, len(prompts), TOGETHER):
        part = list(prompts[first : first + TOGETHER])
        chosen = np.zeros(len(part), int)
        for record in paint_iter(pretrained, part, settings, picture_ids=[0] * len(part), scored="all"):
            if record.step + 1 <= select_step:
                assert record.alignment is not None
                chosen = record.alignment.view(len(part), k).argmax(1).cpu().numpy()
        pictures = pretrained.image_tokenizer.to_pixels(record.tokens).cpu()
        verdict = judge.verdict(pictures, [prompt for prompt in part for _ in range(k)])
        flags = verdict.attributes.get(outcome, verdict.well_formed).view(len(part), k).tolist()
        for prompt, right, taken in zip(part, flags, chosen.tolist(), strict=True):
            yield Telling(prompt, settings.seed, tuple(right), taken, outcome)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of `python -m workbench.trajectories.telling`."""
    parser = CommandParser(prog="python -m workbench.trajectories.telling", description=__doc__)
    options.add_model(parser)
    parser.add_argument("--prompts", type=int, default=64, help="prompts to try (default: 64)")
    parser.add_argument("--prompt", action="append", default=[], help="try these instead; repeatable")
    parser.add_argument("--candidates", type=int, default=8)
    parser.add_argument("--score", default="cosine")
    parser.add_argument("--outcome", default="", help="one attribute that is right (default: all, as the page marks)")
    options.add_seed(parser, "seed of the races")
    return exit_code("telling", lambda: _find(parser.parse_all(sys.argv[1:] if arguments is None else arguments)))


def _find(args: argparse.Namespace) -> None:
    options.require_at_least(args, 1, "prompts")
    options.require_at_least(args, 2, "candidates")
    from dream.pretrained import load_pretrained
    from dream.training.checkpoint import read_state

    pretrained = load_pretrained(args.model)
    config = pretrained.config
    judge = needed_judge("choosing", read_state(pretrained.path).source, config)
    if args.outcome and args.outcome not in judge.attributes:
        raise InputError(f"--outcome must be one of {', '.join(judge.attributes)}, got '{args.outcome}'")
    draws = np.random.default_rng(seed_of(args.seed, "telling"))
    prompts = args.prompt or judge.prompts("seen", args.prompts, draws)
    changes = {"candidates": args.candidates, "selection": "none", "score": args.score, "seed": args.seed}
    settings = DecodeSettings.of(config.decode, **changes)
    point = parse_select_at(DEFAULT_SELECT_AT, config.image.num_tokens, settings.steps)
    console = Console(True)
    races = telling_races(pretrained, judge, prompts, settings, point.step, args.outcome)
    for number, race in enumerate(races, start=1):
        console.progress(f"{number} of {len(prompts)} races")
        if race.kind:
            marks = "".join("+" if right else "." for right in race.right)
            print_out(f"{race.kind}: {race.prompt} (seed {race.seed}): {marks}, chosen number {race.chosen + 1}")


if __name__ == "__main__":
    sys.exit(main())
