"""The one way in which tasks and pages use a judge: which prompts it can judge, what it reads, its verdict.

A world of pictures that has a judge is one file with a class of these members, and one line in `worlds.judge_of`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from dream.evaluation.progress import Progress

if TYPE_CHECKING:
    from dream.evaluation.statistics import Measure


class Verdict(NamedTuple):
    """A judge's answer for B pictures and their captions, counted with and without refusing."""

    attributes: dict[str, Tensor]
    """(B,) bool per attribute: as the caption says; what is malformed counts as what it resembles most."""
    well_formed: Tensor
    """(B,) bool: every attribute is as the caption says, and nothing is malformed."""

    @property
    def right(self) -> Tensor:
        """(B,) bool: every attribute is as the caption says."""
        return torch.stack(list(self.attributes.values())).all(0)


class PictureJudge(Protocol):
    """A network that tells whether a picture shows what its caption says, and what it needs to be asked."""

    @property
    def combinations(self) -> tuple[str, ...]:
        """Kinds of prompts that are counted apart (seen, unseen, ...); tasks with one kind take the first."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of what it reads in a picture, as in a `Verdict`."""

    def prompts(self, combination: str, count: int, draws: np.random.Generator) -> list[str]:
        """`count` captions of one kind that it can judge; fewer if there are not so many."""

    def conditions(self, caption: str) -> dict[str, Any]:
        """What prompts are counted apart by beside their kind, e.g. their number of things; may be empty."""

    def knows(self, caption: str) -> bool:
        """Whether it can judge pictures of this caption."""

    def verdict(self, images: Tensor, captions: Sequence[str]) -> Verdict:
        """Its answers for pictures (B, 3, H, W), square, uint8 or float in [0, 1]; InputError for another caption."""

    def grade(self, images: Tensor, captions: Sequence[str]) -> Tensor:
        """(B,) how far a picture shows what its caption says: the judge's log-probability, in nats; as `verdict`."""

    def features(self, images: Tensor) -> Tensor:
        """(B, D): activations before the last layer for pictures (B, 3, H, W), uint8 or float in [0, 1]."""

    def agreement(self, size: int, count: int, seed: int, progress: Progress) -> "list[Measure]":
        """Its accuracy on `count` pictures with known answers, never trained on, of `size` pixels where they vary."""
