"""Trains the judge on fresh drawings, and writes its weights and accuracy.

Run as `python -m dream.evaluation.judging.train_judge`.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from dream.__main__ import CommandParser
from dream.console import print_out
from dream.errors import InputError
from dream.evaluation.judging import damage
from dream.evaluation.judging.agreement import judge_accuracy
from dream.evaluation.judging.damage import IGNORE, Drawings
from dream.evaluation.judging.judge import WEIGHTS, Judge
from dream.exit_codes import exit_code
from dream.files import check_writable, replace_text

STEPS, BATCH = 1500, 128


def train_judge(
    seed: int = 0, steps: int = STEPS, report: Callable[[int, float], None] = lambda step, loss: None
) -> Judge:
    """A judge trained on `steps` batches of fresh drawings; calls `report(step, loss)` every 100 steps."""
    generator = np.random.default_rng([seed, 0])
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        judge = Judge()
    optimizer = torch.optim.AdamW(judge.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps, pct_start=0.15)
    for step in range(steps):
        loss = _loss(judge, damage.training_drawings(BATCH, generator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            report(step + 1, loss.item())
    return judge.eval().requires_grad_(False)


def _loss(judge: Judge, drawings: Drawings) -> Tensor:
    logits = judge(torch.from_numpy(drawings.images.astype(np.float32)))
    terms = [
        F.cross_entropy(logits[name].flatten(0, -2), torch.from_numpy(numbers).flatten(), ignore_index=IGNORE)
        for name, numbers in drawings.labels.items()
    ]
    return torch.stack(terms).sum()


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of `python -m dream.evaluation.judging.train_judge`."""
    parser = CommandParser(prog="python -m dream.evaluation.judging.train_judge", description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="the .safetensors; its .json is written next to it")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and drawings (default: 0)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimiser steps (default: {STEPS:,})")
    arguments = list(sys.argv[1:] if argv is None else argv)
    return exit_code("train_judge", lambda: write_judge(parser.parse_all(arguments)))


def write_judge(args: argparse.Namespace) -> None:
    """Trains the judge, and writes its weights (half precision) and accuracy. Raises InputError for bad arguments."""
    if args.seed < 0 or args.steps < 1:
        raise InputError(f"--seed must be at least 0 and --steps at least 1, got {args.seed} and {args.steps}")
    check_writable(args.out.parent)
    judge = train_judge(args.seed, args.steps, lambda step, loss: print_out(f"step {step}: loss {loss:.3f}"))
    weights = {name: t.half() if t.is_floating_point() else t for name, t in judge.state_dict().items()}
    # the accuracy is that of the stored weights
    judge.load_state_dict({name: t.float() for name, t in weights.items()})
    accuracy = {"seed": args.seed, "steps": args.steps, **judge_accuracy(judge)}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(save(weights))
    replace_text(args.out.with_suffix(".json"), json.dumps(accuracy, indent=2) + "\n")
    print_out(json.dumps(accuracy, indent=2))


if __name__ == "__main__":
    sys.exit(main())
