"""A critic that reads: it learned the phrases of captions from real pictures, and looks for them in partial ones.

A phrase is what stands between the commas of a caption ("red heart" and "ink" of "red heart, ink"). Each has a vector
of its own, where the joint space has to make it of word pieces; so this critic tells things apart that the text tower
does not, and knows none that no training caption names. It learns from masked pictures, without decodes or a judge.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from dream.decoding.critic import CriticFeatures

Phrase = tuple[int, ...]
"""Token ids of a phrase, without its commas."""
HIDDEN, WIDTH = 256, 192
"""Widths between a picture's pooled tokens and the logits of the phrases."""


def phrases_of(ids: Sequence[int], separators: frozenset[int], end: int) -> list[Phrase]:
    """The phrases of a caption's ids (T,), which begin with the begin token and end with `end`."""
    found: list[list[int]] = [[]]
    for token in ids[1:]:
        if token == end:
            break
        if token in separators:
            found.append([])
        else:
            found[-1].append(token)
    return [tuple(phrase) for phrase in found if phrase]


def of_wanted(logs: Tensor, wanted: Tensor) -> Tensor:
    """(R, M) of log-probabilities (R, V) those of the phrases `wanted` (R, M); 0 where it has -1, for none."""
    return logs.gather(1, wanted.clamp(min=0)).masked_fill(wanted < 0, 0.0)


class PhraseCritic(nn.Module):
    """Score (R,) of R partial pictures: log-probability of their caption's phrases, in nats; unknown ones do not count.

    A caption without any known phrase is scored by the cosine.
    """

    mean: Tensor
    """(P,) of the pooled tokens that it learned from."""
    spread: Tensor
    """(P,) their standard deviation."""

    def __init__(self, pooled: int, phrases: Sequence[Phrase], separators: Sequence[int], end: int) -> None:
        super().__init__()
        self.numbers: Mapping[Phrase, int] = {tuple(phrase): number for number, phrase in enumerate(phrases)}
        self.separators, self.end = frozenset(separators), end
        self.register_buffer("mean", torch.zeros(pooled))
        self.register_buffer("spread", torch.ones(pooled))
        self.picture = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(pooled + 1, HIDDEN), nn.GELU(), nn.Dropout(0.4), nn.Linear(HIDDEN, WIDTH)
        )
        self.phrase = nn.Linear(WIDTH, len(phrases))

    @property
    def about(self) -> dict[str, Any]:
        """What makes it again, beside its weights."""
        phrases, separators = [list(phrase) for phrase in self.numbers], sorted(self.separators)
        return {
            "kind": "phrases",
            "pooled": len(self.mean),
            "phrases": phrases,
            "separators": separators,
            "end": self.end,
        }

    def wanted(self, caption_ids: Tensor) -> Tensor:
        """(R, M) numbers of the known phrases of captions (R, T), filled up with -1."""
        known: dict[Phrase, list[int]] = {}
        rows = []
        for row in map(tuple, caption_ids.tolist()):
            if row not in known:
                phrases = phrases_of(row, self.separators, self.end)
                known[row] = [self.numbers[phrase] for phrase in phrases if phrase in self.numbers]
            rows.append(known[row])
        most = max(1, *(len(row) for row in rows)) if rows else 1
        return torch.tensor([row + [-1] * (most - len(row)) for row in rows], device=caption_ids.device)

    def log_probabilities(self, pooled: Tensor, share: Tensor) -> Tensor:
        """(R, V) of the phrases in pictures, given pooled tokens (R, P) and the decoded share (R,)."""
        standard = (pooled - self.mean) / self.spread
        seen: Tensor = self.phrase(self.picture(torch.cat([standard, share[:, None]], 1)))
        return seen.log_softmax(1)

    def forward(self, features: "CriticFeatures") -> Tensor:
        """See the class."""
        wanted = self.wanted(features.caption_ids)
        score = of_wanted(self.log_probabilities(features.pooled, features.share), wanted).sum(1)
        cosine = (features.image * features.text).sum(-1)
        return torch.where((wanted < 0).all(1), cosine, score)
