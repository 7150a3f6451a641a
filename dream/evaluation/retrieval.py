"""Retrieval in the joint space: does a caption find its picture among others, and a picture its caption?

A pool is a set of pictures with different captions; for drawn shapes, of combinations that training never
showed. High recall does not say that a model knows who is where: see `edits`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dream.data.batch import Batch
from dream.data.drawing import draw
from dream.data.grammar import caption
from dream.data.shapes import distinct_scenes
from dream.data.sources import open_source
from dream.errors import InputError
from dream.evaluation.features import MASK_RATIOS, caption_features, picture_features
from dream.evaluation.statistics import Measure, mean
from dream.randomness import generator, seed_of

if TYPE_CHECKING:
    from dream.config import DreamConfig
    from dream.pretrained import Pretrained

RANKS = (1, 5, 10)


def recalls(similarity: Tensor, ranks: Sequence[int] = RANKS) -> dict[str, dict[int, float]]:
    """Recall at each rank of (P, P) similarities of pictures (rows) and captions (columns), in equal order.

    'text to image' ranks the pictures for each caption, 'image to text' the captions for each picture. What
    is as similar as the true one ranks before it, so that a constant space finds nothing.
    """
    own = similarity.diagonal()
    others = ~torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    before = {
        "text to image": ((similarity >= own[None, :]) & others).sum(0),
        "image to text": ((similarity >= own[:, None]) & others).sum(1),
    }
    return {name: {k: float((b < k).double().mean()) for k in ranks} for name, b in before.items()}


def retrieval(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    pool: int = 64,
    pools: int = 20,
    mask_ratios: Sequence[float] = MASK_RATIOS,
    seed: int = 0,
) -> list[Measure]:
    """Recall at 1, 5 and 10 both ways by mask ratio: means over `pools` pools of `pool`, interval over pools.

    Raises InputError if the data has not `pool` different captions.
    """
    found: dict[tuple[float, str, int], list[float]] = {}
    for number, batch in enumerate(_pools(pretrained.config, data, pool, pools, seed)):
        captions = caption_features(pretrained, batch.captions)
        for ratio in mask_ratios:
            masks = generator(seed, "retrieval masks", number, str(ratio))
            similarity = picture_features(pretrained, batch.images, ratio, masks) @ captions.T
            for direction, by_rank in recalls(similarity).items():
                for rank, value in by_rank.items():
                    found.setdefault((ratio, direction, rank), []).append(value)
    draws = np.random.default_rng(seed)
    return [
        Measure(
            "retrieval", f"{direction} R@{rank}", {"mask_ratio": ratio, "pool": pool}, mean(values, draws)
        )
        for (ratio, direction, rank), values in found.items()
    ]


def _pools(config: "DreamConfig", data: str, pool: int, pools: int, seed: int) -> Iterator[Batch]:
    """Pools of different captions: of unseen combinations for shapes, else parts of the validation split."""
    if data == "shapes":
        draws = np.random.default_rng(seed_of(seed, "retrieval pools"))
        for _ in range(pools):
            scenes = distinct_scenes(config.data.level, pool, draws, unseen=True)
            images = torch.from_numpy(draw(scenes, config.image.size))
            yield Batch(images, tuple(caption(s) for s in scenes), ("",) * pool)
        return
    batch = open_source(data, config, split="val").fixed(pool * pools)
    if len(batch) < pool:
        raise InputError(
            f"{data} has {len(batch)} validation pictures with different captions, {pool} are needed"
        )
    for start in range(0, len(batch) - pool + 1, pool):
        part = slice(start, start + pool)
        yield Batch(batch.images[part], batch.captions[part], batch.keys[part])
