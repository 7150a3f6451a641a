"""Retrieval in the joint space: does a caption find its picture among others, and a picture its caption?

A pool is a set of pictures with different captions; for drawn shapes, of combinations that never occur in
training. High recall does not mean that a model knows which thing is where: see `edits`.

A picture with a list of captions (COCO and Flickr30k have five) counts as published (Karpathy, arXiv 1412.2306; CLIP,
arXiv 2103.00020): each caption is a query for its picture, and a picture finds its captions if any of them is among the
first k. COCO's two published figures are named protocols: 5K is one pool of the 5,000 test pictures, and 1K the mean
over five folds of 1,000.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.config import DreamConfig
from dream.data.drawn.drawing import draw
from dream.data.drawn.grammar import caption
from dream.data.drawn.shapes import distinct_scenes
from dream.data.sources import open_source
from dream.data.stored import StoredSource
from dream.errors import InputError
from dream.evaluation.classes.features import caption_features, picture_features
from dream.evaluation.pieces import at_ratio, in_pieces
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import JointSettings, at_least
from dream.evaluation.statistics import Estimate, Measure, mean_share, pooled_share, ratio_share, share
from dream.fields import Count
from dream.model.pretrained import Pretrained
from dream.randomness import generator, seed_of

RANKS = (1, 5, 10)
TEXT_TO_IMAGE, IMAGE_TO_TEXT = "text to image", "image to text"
PROTOCOLS = {"coco_1k": (1000, 5), "coco_5k": (5000, 1)}
"""Pictures per pool, and pools, of the published protocols."""
FEW_POOLS = 10
"""With fewer pools, intervals are over queries, which are nearly independent, instead of pools."""


@dataclass(frozen=True)
class RetrievalSettings(JointSettings, task="retrieval"):
    """Settings of the task `retrieval`."""

    pool: Annotated[int, at_least(2)] = 64
    """Pictures per pool, each with a different caption."""
    pools: Count = 20
    """Number of pools; data other than shapes may have fewer."""
    protocol: Literal["pools", "coco_1k", "coco_5k"] = "pools"
    """`pools`: the two settings above; `coco_1k`: five pools of 1,000 pictures, `coco_5k`: one of 5,000, both with all
    pictures of the split, equal captions or not (published: Karpathy's test split).
    """
    split: str | None = None
    """Split of stored data; none: `val`."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Returns recall at 1, 5 and 10 in both directions by mask ratio: means over the pools.

        Intervals are over pools, or over queries if there are fewer than FEW_POOLS pools (over pictures if these have
        several captions). Raises InputError if the data has too few pictures with different captions.
        """
        owners: list[Tensor] = []
        pictures: list[int] = []

        def numbered() -> Iterator[tuple[int, _Pool]]:
            for number, pool in enumerate(_pools(pretrained.config, data, self, seed)):
                owners.append(pool.owners)
                pictures.append(len(pool.images))
                yield number, pool

        def ranked(item: tuple[int, _Pool]) -> dict[str, Tensor]:
            number, pool = item
            captions = caption_features(pretrained, pool.captions)
            before: dict[str, Tensor] = {}
            for ratio in self.mask_ratios:
                masks = generator(seed, "retrieval masks", number, str(ratio))
                similarity = picture_features(pretrained, pool.images, ratio, masks) @ captions.T
                ranks = ranked_before(similarity, pool.owners)
                before |= {at_ratio(direction, ratio): each for direction, each in ranks.items()}
            return before

        # of one pool, the features are what ranks share
        pieces = in_pieces(numbered(), ranked) if self._sizes[1] > 1 else list(map(ranked, numbered()))
        found: dict[tuple[float, str], list[_Ranks]] = {}
        for before, own, count in zip(pieces, owners, pictures, strict=True):
            for ratio, direction in itertools.product(self.mask_ratios, (TEXT_TO_IMAGE, IMAGE_TO_TEXT)):
                rows = own if direction == TEXT_TO_IMAGE else torch.arange(count)
                ranks = _Ranks(before[at_ratio(direction, ratio)].cpu().numpy(), rows.numpy())
                found.setdefault((ratio, direction), []).append(ranks)
        where: dict[str, object] = {"data": data, "pool": self._sizes[0]}
        if self.protocol != "pools":
            where["protocol"] = self.protocol
        if (captions := sum(map(len, owners))) > sum(pictures):
            where["captions"] = captions
        return [
            Measure(
                "retrieval",
                f"{direction} R@{rank}",
                {"mask_ratio": ratio, **where, "pools": len(ranks)},
                _recall(ranks, rank),
            )
            for (ratio, direction), ranks in found.items()
            for rank in RANKS
        ]

    @property
    def _sizes(self) -> tuple[int, int]:
        """Pictures per pool, and pools."""
        return PROTOCOLS.get(self.protocol, (self.pool, self.pools))


@dataclass(frozen=True)
class _Pool:
    """P pictures and their C captions."""

    images: Tensor
    """(P, 3, H, W) uint8."""
    captions: tuple[str, ...]
    owners: Tensor
    """(C,) row of each caption's picture."""

    @classmethod
    def of(cls, images: Tensor, captions: Sequence[Sequence[str]]) -> "_Pool":
        """The pool of pictures, each with one caption or more."""
        owners = [row for row, own in enumerate(captions) for _ in own]
        return cls(images, tuple(text for own in captions for text in own), torch.tensor(owners))


@dataclass(frozen=True)
class _Ranks:
    """Ranks of Q queries in one pool."""

    before: NDArray[np.int64]
    """(Q,) how many answers rank before the first right one."""
    pictures: NDArray[np.int64]
    """(Q,) row of each query's picture."""


def recalls(similarity: Tensor, ranks: Sequence[int] = RANKS) -> dict[str, dict[int, float]]:
    """Returns recall at each rank for (P, P) similarities of pictures (rows) and captions (columns) in the same order.

    'text to image' ranks the pictures for each caption, 'image to text' the captions for each picture.
    """
    return {
        direction: {k: float((before < k).double().mean()) for k in ranks}
        for direction, before in ranked_before(similarity).items()
    }


def ranked_before(similarity: Tensor, owners: Tensor | None = None) -> dict[str, Tensor]:
    """Returns how many wrong answers rank before the first right one, for each caption (C,) and each picture (P,).

    `owners` (C,) has the row of each caption's picture; without it, captions and pictures are in the same order. A tie
    ranks before the right one, so that a constant space finds nothing.
    """
    pictures, captions = similarity.shape
    rows = torch.arange(pictures, device=similarity.device)
    owners = rows if owners is None else owners.to(similarity.device)
    own = similarity[owners, torch.arange(captions, device=similarity.device)]  # (C,)
    best = similarity.new_full((pictures,), -torch.inf).scatter_reduce(0, owners, own, "amax")  # (P,)
    wrong = owners[None, :] != rows[:, None]  # (P, C)
    return {
        TEXT_TO_IMAGE: ((similarity >= own[None, :]) & wrong).sum(0),
        IMAGE_TO_TEXT: ((similarity >= best[:, None]) & wrong).sum(1),
    }


def _recall(pools: Sequence[_Ranks], rank: int) -> Estimate:
    """Returns the recall at a rank: the mean over the pools."""
    hits = [ranks.before < rank for ranks in pools]
    alone = all(len(np.unique(ranks.pictures)) == len(ranks.pictures) for ranks in pools)
    if len(pools) >= FEW_POOLS:
        return pooled_share(np.stack(hits)) if alone else mean_share([each.mean() for each in hits], "pools")
    if alone:
        return share(np.concatenate(hits), "queries")
    # captions of one picture are no independent queries
    rows = [
        np.stack([np.bincount(ranks.pictures, weights=each), np.bincount(ranks.pictures)], 1)
        for ranks, each in zip(pools, hits, strict=True)
    ]
    return ratio_share(np.concatenate(rows))


def _pools(config: DreamConfig, data: str, settings: RetrievalSettings, seed: int) -> Iterator[_Pool]:
    """Yields pools: of unseen combinations for shapes, otherwise parts of a split."""
    pool, pools = settings._sizes
    if data == "shapes":
        if settings.protocol != "pools":
            raise InputError(f"retrieval.protocol={settings.protocol} is for sets of pictures, not for drawn shapes")
        draws = np.random.default_rng(seed_of(seed, "retrieval pools"))
        for _ in range(pools):
            scenes = distinct_scenes(config.data.level, pool, draws, unseen=True)
            yield _Pool.of(torch.from_numpy(draw(scenes, config.image.size)), [(caption(s),) for s in scenes])
        return
    source = open_source(data, config, split=settings.split or "val")
    assert isinstance(source, StoredSource)
    published = settings.protocol != "pools"
    batch = source.fixed(pool * pools, distinct=not published)
    if len(batch) < (least := pool * pools if published else pool):
        which = f"pictures ({settings.protocol})" if published else "pictures with different captions"
        raise InputError(f"task 'retrieval' needs {least:,} {which}, '{data}' has {len(batch):,}")
    captions = source.fixed_captions(batch)
    for start in range(0, len(batch) - pool + 1, pool):
        part = slice(start, start + pool)
        yield _Pool.of(batch.images[part], captions[part])
