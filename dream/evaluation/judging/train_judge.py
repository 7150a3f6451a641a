"""Trains a network of the judge on fresh drawings, and writes its weights and accuracy.

Run as `python -m dream.evaluation.judging.train_judge` for levels 0 and 1, and with `--wide` for levels 2 and 3.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dream.__main__ import CommandParser
from dream.console import print_out
from dream.errors import InputError
from dream.evaluation.judging import damage
from dream.evaluation.judging.agreement import judge_accuracy, wide_accuracy
from dream.evaluation.judging.damage import Drawings
from dream.evaluation.judging.judge import WEIGHTS, WIDE_WEIGHTS, Judge
from dream.evaluation.judging.networks import descend, halved, rescaled, write_network
from dream.evaluation.judging.reading import IGNORE, WIDE, DrawingReader
from dream.evaluation.judging.wide_network import CELLS, WideNetwork
from dream.exit_codes import exit_code
from dream.files import check_writable

STEPS, BATCH = 1500, 128
WIDE_STEPS, WIDE_BATCH = 4500, 64
SMALL_SIDES, LARGE_SIDES = (30, 30, 32, 36), (48, 48, 64)
"""Side lengths at which undamaged drawings of levels 2 and 3 are made and then rescaled; half of level 3 are small."""
DAMAGED = 16
"""Damaged drawings in a batch of levels 2 and 3, from a pool that is drawn once because it takes long."""
POOL = 8192

Report = Callable[[int, float], None]


def _quiet(step: int, loss: float) -> None:
    pass


def train_judge(seed: int = 0, steps: int = STEPS, report: Report = _quiet) -> Judge:
    """A judge of levels 0 and 1, trained on `steps` batches of fresh drawings; reports (step, loss) every 100 steps."""
    generator = np.random.default_rng([seed, 0])
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        judge = Judge()
    _train(judge, lambda: _loss(judge, damage.training_drawings(BATCH, generator)), steps, report)
    return judge


def train_wide(seed: int = 0, steps: int = WIDE_STEPS, report: Report = _quiet, pool: int = POOL) -> WideNetwork:
    """The judge's network for levels 2 and 3, trained on `steps` batches; reports (step, loss) every 100 steps."""
    generator = np.random.default_rng([seed, 2])
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = WideNetwork().to(memory_format=torch.channels_last)  # type: ignore[call-overload] # faster on a CPU
    damaged = _pool(pool, generator)
    _train(network, lambda: _wide_loss(network, _wide_batch(damaged, generator)), steps, report)
    return network


def _train(reader: DrawingReader, loss_of_batch: Callable[[], Tensor], steps: int, report: Report) -> None:
    optimizer = torch.optim.AdamW(reader.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.15)
    for step in range(steps):
        loss = loss_of_batch()
        descend(loss, optimizer, schedule)
        if step % 100 == 99:
            report(step + 1, loss.item())
    reader.eval().requires_grad_(False)


def _loss(reader: DrawingReader, drawings: Drawings) -> Tensor:
    return _reading_loss(reader(torch.from_numpy(drawings.images.astype(np.float32))), drawings)


def _reading_loss(logits: dict[str, Tensor], drawings: Drawings) -> Tensor:
    terms = [
        F.cross_entropy(logits[name].flatten(0, -2), torch.from_numpy(numbers).flatten(), ignore_index=IGNORE)
        for name, numbers in drawings.labels.items()
    ]
    return torch.stack(terms).sum()


def _wide_loss(network: WideNetwork, drawings: Drawings) -> Tensor:
    """Cross-entropies of the attributes and of the objects' cells, and errors of their places in radii."""
    truth = torch.from_numpy(drawings.places)
    logits, found = network.located(torch.from_numpy(drawings.images), truth)
    known = ~truth.isnan().any(-1)
    place = truth[known]  # (n, 3)
    cells = place[:, :2].mul(CELLS).floor().clamp(0, CELLS - 1).long()  # x before y
    loss = _reading_loss(logits, drawings) + F.nll_loss(found.where[known], cells[:, 1] * CELLS + cells[:, 0])
    for places, weight in ((found.rough, 1.0), (found.places, 4.0)):
        loss = loss + weight * ((places[known] - place) / place[:, 2:]).abs().sum(1).mean()
    return loss


def _pool(count: int, generator: np.random.Generator) -> Drawings:
    """Damaged drawings, each kind about as often as in the training of levels 0 and 1, but none rarely."""
    kinds = damage.damages(WIDE)
    shares = np.array([max(damage.DAMAGES[kind], 0.1) for kind in kinds])
    numbers = np.ceil(count * shares / shares.sum()).astype(int).tolist()
    made = [damage.damaged_drawings(kind, n, generator, WIDE) for kind, n in zip(kinds, numbers, strict=True)]
    return _joined(made)


def _joined(parts: Sequence[Drawings]) -> Drawings:
    labels = {name: np.concatenate([part.labels[name] for part in parts]) for name in parts[0].labels}
    images = np.concatenate([part.images.astype(np.float32) for part in parts])
    return Drawings(images, labels, np.concatenate([part.places for part in parts]))


def _wide_batch(pool: Drawings, generator: np.random.Generator) -> Drawings:
    """Worn drawings of levels 2 and 3, some of them damaged."""
    rows = generator.choice(len(pool.images), DAMAGED)
    damaged = Drawings(pool.images[rows], {n: v[rows] for n, v in pool.labels.items()}, pool.places[rows])
    fresh = (WIDE_BATCH - DAMAGED) // 3
    made = [
        damage.straying_drawings(fresh, generator, WIDE, level, int(generator.choice(sides)))
        for level, sides in ((2, SMALL_SIDES + LARGE_SIDES), (3, SMALL_SIDES), (3, LARGE_SIDES))
    ]
    rescaled_parts = [
        Drawings(rescaled(torch.from_numpy(part.images), WIDE.side).numpy(), part.labels, part.places) for part in made
    ]
    batch = _joined([damaged, *rescaled_parts])
    return Drawings(damage.worn(batch.images, generator).astype(np.float32), batch.labels, batch.places)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of `python -m dream.evaluation.judging.train_judge`."""
    parser = CommandParser(prog="python -m dream.evaluation.judging.train_judge", description=__doc__)
    parser.add_argument("--wide", action="store_true", help="train the network for levels 2 and 3")
    parser.add_argument("--out", type=Path, help="the .safetensors; its .json is written next to it (default: shipped)")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and drawings (default: 0)")
    parser.add_argument(
        "--steps", type=int, help=f"optimiser steps (default: {STEPS:,}, or {WIDE_STEPS:,} with --wide)"
    )
    arguments = list(sys.argv[1:] if argv is None else argv)
    return exit_code("train_judge", lambda: write_judge(parser.parse_all(arguments)))


def write_judge(args: argparse.Namespace) -> None:
    """Trains a network, and writes its weights (half precision) and accuracy. Raises InputError for bad arguments."""
    steps = args.steps if args.steps is not None else (WIDE_STEPS if args.wide else STEPS)
    if args.seed < 0 or steps < 1:
        raise InputError(f"--seed must be at least 0 and --steps at least 1, got {args.seed} and {steps}")
    out = args.out or (WIDE_WEIGHTS if args.wide else WEIGHTS)
    check_writable(out.parent)

    def report(step: int, loss: float) -> None:
        print_out(f"step {step}: loss {loss:.3f}")

    recipe = {"seed": args.seed, "steps": steps}
    if args.wide:
        network = train_wide(args.seed, steps, report)
        recipe |= {"batch": WIDE_BATCH, "damaged_in_batch": DAMAGED, "damaged_pool": POOL}
        _write(network, out, recipe, lambda: wide_accuracy(network))
    else:
        judge = train_judge(args.seed, steps, report)
        _write(judge, out, recipe, lambda: judge_accuracy(judge))


def _write(reader: DrawingReader, out: Path, recipe: dict[str, int], accuracy_of: Callable[[], dict[str, Any]]) -> None:
    """Writes the weights and, next to them, the recipe and the accuracy of what is stored."""
    weights = halved(reader)
    accuracy = recipe | accuracy_of()
    write_network(out, weights, accuracy)
    print_out(json.dumps(accuracy, indent=2))


if __name__ == "__main__":
    sys.exit(main())
