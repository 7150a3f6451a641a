"""Trains the judge of emoji on renderings of all drawings, and writes its weights, names and own accuracy.

Run as `python -m dream.evaluation.judging.train_emoji_judge` (about 20 minutes on one core). It needs the emoji: `dream
data emoji --build`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from dream.__main__ import CommandParser
from dream.console import print_out
from dream.data.emoji.table import built_emoji
from dream.errors import InputError
from dream.evaluation.judging.emoji_agreement import emoji_accuracy
from dream.evaluation.judging.emoji_network import EMOJI_WEIGHTS, FEATURES, ROWS, EmojiNetwork, StyleHead
from dream.evaluation.judging.emoji_pictures import EmojiPictures
from dream.evaluation.judging.emoji_renderings import DAMAGES, damaged, worn_renderings
from dream.evaluation.judging.networks import descend, halved, write_network
from dream.exit_codes import exit_code
from dream.files import check_writable
from dream.randomness import generator, seed_of

STEPS, BATCH = 1700, 128
MALFORMED = 0.2
"""Share of malformed pictures in each batch."""
IGNORE = -100
PASSES, EPOCHS = 4, 8
"""Renderings of every drawing that the style's head is trained on, and how often."""
STYLE_RATE, STYLE_DECAY = 3e-3, 0.1


class StyleExamples(NamedTuple):
    """What the network sees in R renderings."""

    seen: Tensor
    """(R, SEEN)."""
    things: Tensor
    """(R, things) probabilities."""
    styles: Tensor
    """(R,) class numbers."""


def train_emoji_judge(
    pictures: EmojiPictures,
    seed: int = 0,
    steps: int = STEPS,
    passes: int = PASSES,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> EmojiNetwork:
    """A network trained on `steps` batches of fresh renderings; calls `report(step, loss)` every 50 steps.

    Thing and style are learnt together first. Then the network stays as it is, and the head that reads the style is
    trained on what it sees in a few more renderings of every drawing.
    """
    draws = generator(seed, "judge of emoji")
    with torch.random.fork_rng([]):
        torch.manual_seed(seed_of(seed, "judge of emoji: weights"))
        network = EmojiNetwork(len(pictures.names.things))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps + 1, pct_start=0.15)
    for step in range(steps):
        loss = _loss(network, pictures, draws)
        descend(loss, optimizer, schedule)
        if step % 50 == 49:
            report(step + 1, loss.item())
    network.eval().requires_grad_(False)
    train_style(network.style, seen_in_renderings(network, pictures, passes, seed), seed)
    return network


@torch.no_grad()
def seen_in_renderings(network: EmojiNetwork, pictures: EmojiPictures, passes: int, seed: int) -> StyleExamples:
    """What the network sees in `passes` renderings of every drawing."""
    draws, seen, rows = generator(seed, "judge of emoji: style"), [], []
    for _ in range(passes):
        for some in torch.randperm(len(pictures.things), generator=draws).split(ROWS):
            seen.append(network.seen_in(worn_renderings(pictures.images(some), draws)))
            rows.append(some)
    features = torch.cat(seen)
    things = network.thing(features[:, :FEATURES])[:, :-1].softmax(1)
    return StyleExamples(features, things, pictures.styles[torch.cat(rows)])


def train_style(head: StyleHead, examples: StyleExamples, seed: int = 0) -> None:
    """Trains the head that reads the style, in place."""
    draws = generator(seed, "judge of emoji: order of style examples")
    head.train().requires_grad_(True)
    optimizer = torch.optim.AdamW(head.parameters(), STYLE_RATE, weight_decay=STYLE_DECAY)
    steps = EPOCHS * -(-len(examples.styles) // ROWS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, STYLE_RATE, steps + 1, pct_start=0.1)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed_of(seed, "judge of emoji: dropout"))
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(examples.styles), generator=draws).split(ROWS):
                logits = head(examples.seen[rows], examples.things[rows])
                loss = F.cross_entropy(logits, examples.styles[rows], label_smoothing=0.05)
                descend(loss, optimizer, schedule)
    head.eval().requires_grad_(False)


def _loss(network: EmojiNetwork, pictures: EmojiPictures, draws: Generator) -> Tensor:
    rows = torch.randint(len(pictures.things), (BATCH,), generator=draws)
    malformed = round(MALFORMED * BATCH)
    images, things, styles = pictures.images(rows), pictures.things[rows].clone(), pictures.styles[rows].clone()
    kind = torch.randint(len(DAMAGES), (malformed,), generator=draws).sort().values
    others = pictures.others(rows[:malformed], draws)
    styles[:malformed] = IGNORE
    for number, name in enumerate(DAMAGES):
        of_kind = (kind == number).nonzero()[:, 0]
        if len(of_kind):
            made = damaged(name, images[of_kind], pictures.images(others[of_kind]), draws)
            images[of_kind] = made.images
            things[of_kind] = torch.where(made.certain, len(pictures.names.things), IGNORE)
    order = torch.randperm(BATCH, generator=draws)  # pictures that share a size and a blur are of all kinds
    logits = network.first_logits(network.seen(worn_renderings(images[order], draws)))
    return F.cross_entropy(logits.thing, things[order], ignore_index=IGNORE) + F.cross_entropy(
        logits.style, styles[order], ignore_index=IGNORE
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of `python -m dream.evaluation.judging.train_emoji_judge`."""
    parser = CommandParser(prog="python -m dream.evaluation.judging.train_emoji_judge", description=__doc__)
    parser.add_argument("--out", type=Path, default=EMOJI_WEIGHTS, help="the .safetensors; its .json is next to it")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and renderings (default: 0)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimiser steps (default: {STEPS:,})")
    arguments = list(sys.argv[1:] if argv is None else argv)
    return exit_code("train_emoji_judge", lambda: write_emoji_judge(parser.parse_all(arguments)))


def write_emoji_judge(args: argparse.Namespace) -> None:
    """Trains the judge, and writes weights (half precision), names and accuracy. Raises InputError."""
    if args.seed < 0 or args.steps < 1:
        raise InputError(f"--seed must be at least 0 and --steps at least 1, got {args.seed} and {args.steps}")
    check_writable(args.out.parent)
    pictures = EmojiPictures.of(built_emoji())
    network = train_emoji_judge(
        pictures, args.seed, args.steps, report=lambda step, loss: print_out(f"step {step}: loss {loss:.3f}")
    )
    write_trained(network, pictures, args.out, args.seed, args.steps)


def write_trained(network: EmojiNetwork, pictures: EmojiPictures, out: Path, seed: int, steps: int) -> None:
    """Writes a trained network, and the JSON with its recipe, its accuracy as it is stored, and its names."""
    weights = halved(network)
    accuracy = emoji_accuracy(network, pictures, seed + 1)
    recipe = {"seed": seed, "steps": steps, "batch": BATCH, "malformed": MALFORMED, "passes": PASSES, "epochs": EPOCHS}
    tree = {"recipe": recipe, "accuracy": accuracy, "drawn": dict(pictures.names.drawn)}
    write_network(out, weights, tree, indent=1)
    print_out(json.dumps(accuracy, indent=2))


if __name__ == "__main__":
    sys.exit(main())
