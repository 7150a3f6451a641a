"""k-nearest-neighbour classification of frozen features, without any training.

Votes are weighted by exp(cosine / 0.07), as in the evaluations of DINO (arXiv 2104.14294) and of instance
discrimination (arXiv 1805.01978), where the weighting comes from.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from dream.evaluation.classes.accuracy import label_condition
from dream.evaluation.classes.examples import featured_splits
from dream.evaluation.classes.settings import FeatureSettings
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import at_least
from dream.evaluation.statistics import Measure, share
from dream.fields import Positive
from dream.model.pretrained import Pretrained

ROWS = 256
"""Test pictures compared with all training pictures at once."""


@dataclass(frozen=True)
class KnnSettings(FeatureSettings, task="knn"):
    """Neighbours and their votes, by default as is usual."""

    k: Annotated[tuple[int, ...], at_least(1)] = (1, 5, 20)
    """Numbers of neighbours that vote, capped at the number of training pictures."""
    temperature: Positive = 0.07
    """Votes are weighted by exp(cosine / temperature)."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Test accuracy by label and k; the condition `chance` is the share of the most frequent class.

        Raises InputError for a source that cannot be opened, or labels that it does not have.
        """
        progress(0.0, "encoding pictures")
        train, test = featured_splits(pretrained, data, self, seed)
        measures = []
        for label, truth in test.labels.items():
            votes = neighbour_votes(train.inputs, train.labels[label], test.inputs, len(test.classes[label]), self)
            for k, votes_of_k in zip(self.k, votes, strict=True):
                where = {"data": data, **label_condition(label), "k": k, "chance": test.chance(label)}
                measures.append(Measure("knn", "accuracy", where, share((votes_of_k.argmax(1) == truth).numpy())))
        return measures


def neighbour_votes(known: Tensor, labels: Tensor, asked: Tensor, classes: int, settings: KnnSettings) -> list[Tensor]:
    """Votes (A, C), for each k, of the k nearest of `known` (B, D) with labels (B,) to each of `asked` (A, D)."""
    known, asked = F.normalize(known, dim=1), F.normalize(asked, dim=1)
    most = min(max(settings.k), len(known))
    chunks: list[list[Tensor]] = [[] for _ in settings.k]
    for rows in asked.split(ROWS):
        cosine, nearest = (rows @ known.T).topk(most, dim=1)  # (a, most), nearest first
        weight = ((cosine - cosine[:, :1]) / settings.temperature).exp()  # relative to the nearest
        for chunk, k in zip(chunks, settings.k, strict=True):
            votes = torch.zeros(len(rows), classes)
            chunk.append(votes.scatter_add_(1, labels[nearest[:, :k]], weight[:, :k]))
    return [torch.cat(chunk) for chunk in chunks]
