"""Sums over the steps between two rows of the log, kept on the device until they are read."""

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from dream.losses import Losses

Item = TypeVar("Item")

BANDS = 10
"""Equal bands of the mask ratio, for which the generative loss is logged separately."""
NAMES = (
    "micro_batches",
    "loss",
    "generative",
    "contrastive",
    "contrastive_batches",
    "alignment",
    "generative_share",
    "contrastive_share",
    "accuracy",
)


class Tally:
    """Sums over micro-batches; a loss in which no picture counted is left out of the mean."""

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(len(NAMES) + 2 * BANDS, dtype=torch.float64, device=device)

    def add(self, losses: Losses, masked_share: Tensor) -> None:
        """Adds a micro-batch with each picture's masked share (B,)."""
        counts = (losses.contrastive_share > 0).double()
        values = (
            torch.ones_like(losses.total),
            losses.total,
            losses.generative,
            losses.contrastive * counts,
            counts,
            losses.alignment,
            losses.generative_share,
            losses.contrastive_share,
            losses.accuracy * counts,
        )
        band = (masked_share * BANDS).long().clamp(max=BANDS - 1)
        counted = (losses.by_picture != 0).double()
        sums = torch.zeros(2, BANDS, dtype=torch.float64, device=self.sums.device)
        sums.index_add_(1, band, torch.stack([losses.by_picture.double() * counted, counted]))
        self.sums += torch.cat([torch.stack([value.detach().double() for value in values]), sums.flatten()])

    def take(self, reduce: Callable[[Tensor], Tensor]) -> dict[str, object]:
        """Means over all ranks since the last call; `reduce` sums a tensor over the ranks."""
        sums = reduce(self.sums).tolist()
        self.sums = torch.zeros_like(self.sums)
        total = dict(zip(NAMES, sums[: len(NAMES)], strict=True))
        band_sums, band_counts = sums[len(NAMES) : -BANDS], sums[-BANDS:]
        return {
            "loss": total["loss"] / total["micro_batches"],
            "generative_loss": _ratio(total["generative"], total["generative_share"]),
            "contrastive_loss": _ratio(total["contrastive"], total["contrastive_batches"]),
            "alignment_loss": total["alignment"] / total["micro_batches"],
            "generative_share": total["generative_share"] / total["micro_batches"],
            "contrastive_share": total["contrastive_share"] / total["micro_batches"],
            "contrastive_accuracy": _ratio(total["accuracy"], total["contrastive_batches"]),
            "generative_by_ratio": {
                f"{i / BANDS:.1f}-{(i + 1) / BANDS:.1f}": band_sums[i] / band_counts[i]
                for i in range(BANDS)
                if band_counts[i]
            },
        }


def _ratio(total: float, count: float) -> float | None:
    """`total / count`; None if nothing counted."""
    return total / count if count else None


class Clock:
    """Time of the steps between two rows of the log, and the share of it spent waiting for data."""

    def __init__(self) -> None:
        self.begun = self.spent = self.waited = 0.0
        self.steps = 0

    def wait_for(self, reading: Iterator[Item]) -> Item:
        """The next batch; starts the time of a step."""
        self.begun = time.monotonic()
        item = next(reading)
        self.waited += time.monotonic() - self.begun
        return item

    def step_done(self) -> None:
        """Ends the time of a step."""
        self.spent += time.monotonic() - self.begun
        self.steps += 1

    def take(self) -> tuple[float, float]:
        """Mean seconds per step since the last call, and the share of them spent waiting for data."""
        seconds, wait = self.spent / self.steps, self.waited / max(self.spent, 1e-9)
        self.spent = self.waited = 0.0
        self.steps = 0
        return seconds, wait
