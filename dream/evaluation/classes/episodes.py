"""Few-shot episodes: the pictures that each draws, and the share of its queries that is classified right."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dream.errors import InputError
from dream.evaluation.settings import TaskSettings, at_least
from dream.fields import Count
from dream.weights.finite import require_finite

CHUNK_VALUES = 1 << 23
"""Feature values of the episodes that are classified at once."""


@dataclass(frozen=True)
class EpisodeSettings(TaskSettings):
    """Number and size of the episodes."""

    episodes: Count = 5000
    """Episodes per data set."""
    ways: Annotated[int, at_least(2)] = 5
    """Classes per episode."""
    shots: Count = 5
    """Labelled pictures per class and episode."""
    queries: Count = 6
    """Pictures to classify per class and episode; all of them in a class with fewer."""
    centred: bool = True
    """Subtract the mean of the episode's support."""


@dataclass(frozen=True)
class Pool:
    """Features of labelled pictures, grouped by class."""

    features: Tensor
    """(N, D)."""
    starts: NDArray[np.int64]
    """(C,) first row of each class."""
    counts: NDArray[np.int64]
    """(C,) rows of each class."""

    @classmethod
    def of(cls, features: Tensor, labels: ArrayLike, classes: int) -> "Pool":
        """Groups features (N, D) with labels (N,) in any order."""
        numbers = np.asarray(labels, np.int64)
        counts = np.bincount(numbers, minlength=classes)
        order = torch.from_numpy(np.argsort(numbers, kind="stable"))
        return cls(features[order].float(), np.cumsum(counts) - counts, counts)


@dataclass(frozen=True)
class Episodes:
    """Rows of two pools that each of E episodes draws."""

    support: NDArray[np.int64]
    """(E, ways, shots) rows of the support's pool."""
    queries: NDArray[np.int64]
    """(E, ways, queries) rows of the queries' pool; -1 where the class has no more."""


def draw_episodes(
    support: NDArray[np.int64], queries: NDArray[np.int64], settings: EpisodeSettings, draws: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Classes (E, ways), and for each its (E, ways, shots) support and (E, ways, queries) query pictures.

    `support` and `queries` (C,) are the numbers of pictures per class. Picture numbers count within the class; -1 is
    a missing query. Raises InputError if fewer than `ways` classes have enough pictures.
    """
    usable = np.flatnonzero((support >= settings.shots) & (queries > 0))
    if len(usable) < settings.ways:
        raise InputError(
            f"{len(usable)} of {len(support)} classes have {settings.shots} pictures to learn from and one to"
            f" classify, few_shot.ways = {settings.ways} are needed; lower few_shot.ways or few_shot.shots"
        )
    classes = usable[distinct(np.full(settings.episodes, len(usable)), settings.ways, draws)]
    shown = distinct(support[classes], settings.shots, draws)
    return classes, shown, distinct(queries[classes], settings.queries, draws)


def distinct(counts: NDArray[np.int64], k: int, draws: np.random.Generator) -> NDArray[np.int64]:
    """(..., k) different numbers below each of `counts` (...), every subset equally likely (Floyd 1987).

    A count below k gives all its numbers, preceded by -1.
    """
    chosen = np.full((*counts.shape, k), -1, np.int64)
    for i in range(k):
        top = counts - k + i
        number = (draws.random(counts.shape) * (top + 1)).astype(np.int64)
        taken = (chosen[..., :i] == number[..., None]).any(-1)
        chosen[..., i] = np.where(top < 0, -1, np.where(taken, top, number))
    return chosen


def episode_accuracies(
    support: Pool, queries: Pool, settings: EpisodeSettings, draws: np.random.Generator
) -> NDArray[np.float64]:
    """(E,) share of each episode's queries whose nearest class mean is that of their own class.

    Features are centred on the support's mean, L2-normalised, and compared with the means of the classes.
    """
    classes, shown, asked = draw_episodes(support.counts, queries.counts, settings, draws)
    rows = Episodes(
        support.starts[classes][..., None] + shown, np.where(asked < 0, -1, queries.starts[classes][..., None] + asked)
    )
    values = settings.ways * (settings.shots + settings.queries) * support.features.shape[1]
    size = max(1, CHUNK_VALUES // values)
    chunks = [
        _accuracies(support.features, queries.features, rows, slice(i, i + size), settings.centred)
        for i in range(0, settings.episodes, size)
    ]
    return np.concatenate(chunks)


def _accuracies(support: Tensor, queries: Tensor, rows: Episodes, chunk: slice, centred: bool) -> NDArray[np.float64]:
    present = torch.from_numpy(rows.queries[chunk] >= 0)  # (E, W, Q)
    shown = support[torch.from_numpy(rows.support[chunk])]  # (E, W, S, D)
    asked = queries[torch.from_numpy(rows.queries[chunk].clip(0))]  # (E, W, Q, D)
    if centred:
        centre = shown.mean((1, 2), keepdim=True)
        shown, asked = shown - centre, asked - centre
    prototypes = F.normalize(shown, dim=-1).mean(2)  # (E, W, D)
    asked = F.normalize(asked, dim=-1).flatten(1, 2)  # (E, W Q, D)
    # squared distance without the query's own square, which is the same for all classes
    distance = (prototypes**2).sum(-1)[:, None] - 2 * asked @ prototypes.transpose(1, 2)  # (E, W Q, W)
    require_finite(distance, "the distances of the queries from the class means")
    own = torch.arange(present.shape[1])[:, None]
    right = (distance.argmin(-1).view(present.shape) == own) & present
    return (right.sum((1, 2)) / present.sum((1, 2))).double().numpy()
