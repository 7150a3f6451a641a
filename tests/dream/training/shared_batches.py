"""`dream` with a source of which every number of ranks sees the same global batches. A script: ranks start
it anew."""

import sys
from collections.abc import Iterator

import numpy as np
import torch

from dream.__main__ import main
from dream.data.batch import Batch
from dream.data.report import DataReport
from dream.training import setup
from dream.training.monitor import share_of


class SharedBatches:
    """Pictures of noise; rank r takes every world_size-th one of each global batch."""

    name = "shared"
    notes = ()
    contrast_fault = ""

    def __init__(self, source, config, *, split="train", seed=0, rank=0, world_size=1) -> None:
        self.size, self.rank, self.world_size = config.image.size, rank, world_size
        self.report = DataReport()

    def batches(self, batch_size, position=None, total_steps=None) -> Iterator[tuple[Batch, dict]]:
        number = (position or {}).get("batch", 0)
        while True:
            number += 1
            yield (
                share_of(self.whole(number, batch_size * self.world_size), self.rank, self.world_size),
                {"batch": number},
            )

    def fixed(self, count: int) -> Batch:
        return self.whole(0, count)

    def facts(self) -> dict:
        return {}

    def captions(self, limit: int = 20000) -> list[str]:
        return [f"picture {i} of batch {n}" for i in range(64) for n in range(9)]

    def whole(self, number: int, count: int) -> Batch:
        pixels = np.random.default_rng(number).integers(0, 256, (count, 3, self.size, self.size), dtype=np.uint8)
        captions = tuple(f"picture {i} of batch {number}" for i in range(count))
        return Batch(torch.from_numpy(pixels), captions, captions)


if __name__ == "__main__":
    setup.open_source = SharedBatches
    sys.exit(main())
