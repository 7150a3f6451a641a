"""k-nearest-neighbour classification: what is near in feature space, without training anything.

The neighbours' votes weigh exp(cosine / 0.07), as in the evaluations of DINO (arXiv 2104.14294) and of the
instance discrimination it took them from (arXiv 1805.01978).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from dream.errors import InputError
from dream.evaluation.classes.examples import featured_splits
from dream.evaluation.classes.probe import condition
from dream.evaluation.limits import at_least
from dream.evaluation.statistics import Measure, share

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

ROWS = 256
"""Test pictures compared with all training pictures at once."""


@dataclass(frozen=True)
class KnnSettings:
    """The field's usual ones."""

    k: tuple[int, ...] = (1, 5, 20)
    """Numbers of neighbours that vote; at most all training pictures do."""
    temperature: float = 0.07
    """The votes weigh exp(cosine / temperature)."""
    pooling: str = "image"
    """What of the encoder is compared: image (mean of its tokens), buffer, all, or joint (joint space)."""
    labels: tuple[str, ...] = ("shape", "colour", "relation", "ground")
    """What is told apart (shapes only); of several things the first counts."""
    train_count: int | None = None
    """Training pictures, evenly over the classes of a stored set; none: all (3,000 drawn ones)."""
    test_count: int | None = None
    """Test pictures; none: all (2,000 drawn ones)."""


def knn(
    pretrained: "Pretrained", *, data: str = "shapes", settings: KnnSettings = KnnSettings(), seed: int = 0
) -> list[Measure]:
    """Test accuracy by label and k, with the share of the most frequent class as `chance` beside it.

    Raises InputError for bad settings, a source that cannot be opened, or labels that it has not.
    """
    check(settings)
    train, test = featured_splits(
        pretrained,
        data,
        labels=settings.labels,
        pooling=settings.pooling,
        train_count=settings.train_count,
        test_count=settings.test_count,
        seed=seed,
    )
    measures = []
    for label, truth in test.labels.items():
        votes = neighbour_votes(train.inputs, train.labels[label], test.inputs, len(test.classes[label]), settings)
        for k, found in zip(settings.k, votes, strict=True):
            where = {"data": data, **condition(label), "k": k, "chance": test.chance(label)}
            measures.append(Measure("knn", "accuracy", where, share((found.argmax(1) == truth).numpy())))
    return measures


def check(settings: KnnSettings) -> None:
    """Raises InputError for settings out of range."""
    at_least("knn", settings, train_count=1, test_count=1)
    if not settings.k or min(settings.k) < 1:
        raise InputError(f"knn.k must be one or more numbers of at least 1, got {settings.k}")
    if not settings.temperature > 0:
        raise InputError(f"knn.temperature must be above 0, got {settings.temperature}")


def neighbour_votes(known: Tensor, labels: Tensor, asked: Tensor, classes: int, settings: KnnSettings) -> list[Tensor]:
    """Votes (A, C) on features (A, D) of their k nearest among (B, D) with labels (B,), for each k."""
    known, asked = F.normalize(known, dim=1), F.normalize(asked, dim=1)
    most = min(max(settings.k), len(known))
    parts: list[list[Tensor]] = [[] for _ in settings.k]
    for rows in asked.split(ROWS):
        cosine, nearest = (rows @ known.T).topk(most, dim=1)  # (a, most), nearest first
        weight = ((cosine - cosine[:, :1]) / settings.temperature).exp()  # over the nearest one's
        for part, k in zip(parts, settings.k, strict=True):
            votes = torch.zeros(len(rows), classes)
            part.append(votes.scatter_add_(1, labels[nearest[:, :k]], weight[:, :k]))
    return [torch.cat(part) for part in parts]
