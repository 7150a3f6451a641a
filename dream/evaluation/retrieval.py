"""Retrieval in the joint space: does a caption find its picture among others, and a picture its caption?

A pool is a set of pictures with different captions; for drawn shapes, of combinations that never occur in
training. High recall does not mean that a model knows which thing is where: see `edits`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.config import DreamConfig
from dream.data.batch import Batch
from dream.data.drawing import draw
from dream.data.grammar import caption
from dream.data.shapes import distinct_scenes
from dream.data.sources import open_source
from dream.errors import InputError
from dream.evaluation.classes.features import caption_features, picture_features
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import JointSettings, at_least
from dream.evaluation.statistics import Estimate, Measure, pooled_share, share
from dream.fields import Count
from dream.model.pretrained import Pretrained
from dream.randomness import generator, seed_of

RANKS = (1, 5, 10)


FEW_POOLS = 10
"""With fewer pools, intervals are over queries, which are nearly independent, instead of pools."""


@dataclass(frozen=True)
class RetrievalSettings(JointSettings, task="retrieval"):
    """Settings of the task `retrieval`."""

    pool: Annotated[int, at_least(2)] = 64
    """Pictures per pool, each with a different caption."""
    pools: Count = 20
    """Number of pools; data other than shapes may have fewer."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Returns recall at 1, 5 and 10 in both directions by mask ratio: means over the pools.

        Intervals are over pools, or over queries if there are fewer than FEW_POOLS pools. Raises InputError if the
        data has fewer than `pool` different captions.
        """
        found: dict[tuple[float, str], list[NDArray[np.int64]]] = {}
        pools = _pools(pretrained.config, data, self.pool, self.pools, seed)
        for number, batch in enumerate(pools):
            captions = caption_features(pretrained, batch.captions)
            for ratio in self.mask_ratios:
                masks = generator(seed, "retrieval masks", number, str(ratio))
                similarity = picture_features(pretrained, batch.images, ratio, masks) @ captions.T
                for direction, before in ranked_before(similarity).items():
                    found.setdefault((ratio, direction), []).append(before.cpu().numpy())
        where = {"data": data, "pool": self.pool}
        return [
            Measure(
                "retrieval",
                f"{direction} R@{rank}",
                {"mask_ratio": ratio, **where, "pools": len(before)},
                _recall(np.stack(before) < rank),
            )
            for (ratio, direction), before in found.items()
            for rank in RANKS
        ]


def recalls(similarity: Tensor, ranks: Sequence[int] = RANKS) -> dict[str, dict[int, float]]:
    """Returns recall at each rank for (P, P) similarities of pictures (rows) and captions (columns) in the same order.

    'text to image' ranks the pictures for each caption, 'image to text' the captions for each picture.
    """
    return {
        direction: {k: float((before < k).double().mean()) for k in ranks}
        for direction, before in ranked_before(similarity).items()
    }


def ranked_before(similarity: Tensor) -> dict[str, Tensor]:
    """Returns (P,) per direction: how many of the others rank before the true one.

    A tie ranks before the true one, so that a constant space finds nothing.
    """
    own = similarity.diagonal()
    others = ~torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    return {
        "text to image": ((similarity >= own[None, :]) & others).sum(0),
        "image to text": ((similarity >= own[:, None]) & others).sum(1),
    }


def _recall(hits: NDArray[np.bool_]) -> Estimate:
    """Returns the mean of hits (pools, queries)."""
    return share(hits, "queries") if len(hits) < FEW_POOLS else pooled_share(hits)


def _pools(config: DreamConfig, data: str, pool: int, pools: int, seed: int) -> Iterator[Batch]:
    """Yields pools of different captions: unseen combinations for shapes, else parts of the validation split."""
    if data == "shapes":
        draws = np.random.default_rng(seed_of(seed, "retrieval pools"))
        for _ in range(pools):
            scenes = distinct_scenes(config.data.level, pool, draws, unseen=True)
            images = torch.from_numpy(draw(scenes, config.image.size))
            yield Batch(images, tuple(caption(s) for s in scenes), ("",) * pool)
        return
    batch = open_source(data, config, split="val").fixed(pool * pools)
    if len(batch) < pool:
        raise InputError(f"task 'retrieval' needs {pool} pictures with different captions, '{data}' has {len(batch)}")
    for start in range(0, len(batch) - pool + 1, pool):
        part = slice(start, start + pool)
        yield Batch(batch.images[part], batch.captions[part], batch.keys[part])
