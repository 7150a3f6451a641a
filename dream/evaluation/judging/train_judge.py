"""Trains the judge on fresh drawings, and writes its weights and accuracy.

Run as `python -m dream.evaluation.judging.train_judge`.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from dream.evaluation.judging import damage
from dream.evaluation.judging.agreement import judge_accuracy
from dream.evaluation.judging.damage import IGNORE, Drawings
from dream.evaluation.judging.judge import WEIGHTS, Judge

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


def main() -> None:
    """Trains the judge, and writes its weights (half precision) and accuracy."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="the .safetensors; its .json is written next to it")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and drawings (default: 0)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimiser steps (default: {STEPS:,})")
    arguments = parser.parse_args()
    judge = train_judge(arguments.seed, arguments.steps, lambda step, loss: print(f"step {step}: loss {loss:.3f}"))
    weights = {name: t.half() if t.is_floating_point() else t for name, t in judge.state_dict().items()}
    # the accuracy is that of the stored weights
    judge.load_state_dict({name: t.float() for name, t in weights.items()})
    accuracy = {"seed": arguments.seed, "steps": arguments.steps, **judge_accuracy(judge)}
    save_file(weights, arguments.out)
    arguments.out.with_suffix(".json").write_text(json.dumps(accuracy, indent=2) + "\n")
    print(json.dumps(accuracy, indent=2))


if __name__ == "__main__":
    main()
