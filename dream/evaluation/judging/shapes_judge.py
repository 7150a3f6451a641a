"""The judge of drawn shapes, as tasks use it: prompts of the model's level, one combination in two unseen."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dream.config import DreamConfig
from dream.data.drawn.grammar import caption, parse_caption
from dream.data.drawn.shapes import sample_scenes
from dream.errors import InputError
from dream.evaluation.judging.agreement import shapes_agreement
from dream.evaluation.judging.damage import SIZE
from dream.evaluation.judging.interface import Verdict
from dream.evaluation.judging.judge import Judge, judged_level, load_judge
from dream.evaluation.judging.networks import to_read
from dream.evaluation.progress import Progress
from dream.evaluation.statistics import Measure
from dream.weights.finite import require_finite


@dataclass(frozen=True)
class ShapesJudge:
    """A PictureJudge of one level of shapes."""

    level: int
    """Level of the prompts; captions of every level that the judge knows can be judged."""
    judge: Judge
    combinations: tuple[str, ...] = ("unseen", "seen")
    attributes: tuple[str, ...] = ("layout", "ground", "shape", "colour")

    @classmethod
    def of(cls, config: DreamConfig) -> "ShapesJudge":
        """The judge for a model's level."""
        level, judge = judged_level(config), load_judge()
        return cls(level, judge, attributes=tuple(judge.reader(level).reach.classes))

    def prompts(self, combination: str, count: int, draws: np.random.Generator) -> list[str]:
        """Canonical captions of scenes drawn as training's are, or of those that training never shows."""
        return [caption(scene) for scene in sample_scenes(self.level, count, draws, unseen=combination == "unseen")]

    def conditions(self, caption: str) -> dict[str, Any]:
        """The number of things."""
        return {"things": len(parse_caption(caption).things)}

    def knows(self, caption: str) -> bool:
        """Whether the caption is in the part of the grammar that the judge knows."""
        return knows_shapes(caption)

    def verdict(self, images: Tensor, captions: Sequence[str]) -> Verdict:
        """See `Judge.verdict`."""
        return self.judge.verdict(images, captions)

    def grade(self, images: Tensor, captions: Sequence[str]) -> Tensor:
        """See `Judge.grade`."""
        return self.judge.grade(images, captions)

    def features(self, images: Tensor) -> Tensor:
        """(B, 128): see `judge_features`."""
        return judge_features(images)

    def agreement(self, size: int, count: int, seed: int, progress: Progress) -> list[Measure]:
        """See `shapes_agreement`."""
        return shapes_agreement(self.judge, self.level, size, count, seed, progress)


@lru_cache(4096)
def knows_shapes(caption: str) -> bool:
    """Whether the judge of shapes knows a caption."""
    try:
        load_judge().attributes(torch.zeros(1, 3, 32, 32), [caption])
    except InputError:
        return False
    return True


@torch.no_grad()
def judge_features(images: Tensor) -> Tensor:
    """(B, 128): activations of the judge of drawn shapes before its last layer."""
    judge, features = load_judge(), []
    for chunk in images.split(256):
        pictures = to_read(chunk, SIZE).clamp(0, 1)
        features.append(judge.heads[:2](judge.features(2 * pictures - 1)))
    return require_finite(torch.cat(features), "the judge's features of pictures")
