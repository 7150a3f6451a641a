"""The judge of emoji, as tasks use it: a thing and a style per caption, prompts by the splits of the data.

It knows the things of all splits (a judge must know what a model has never seen), counts the skin tones of a thing as
that thing, and refuses what is none of them. It needs no pictures: names are in the JSON next to the weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dream.data.emoji.corpus import SOURCE, split_named
from dream.data.emoji.table import built_emoji
from dream.errors import InputError
from dream.evaluation.judging.emoji_agreement import emoji_agreement
from dream.evaluation.judging.emoji_names import EmojiNames
from dream.evaluation.judging.emoji_network import EmojiNetwork, load_emoji_network
from dream.evaluation.judging.emoji_pictures import EmojiPictures
from dream.evaluation.judging.interface import Verdict
from dream.evaluation.progress import Progress
from dream.evaluation.statistics import Measure

COMBINATIONS = {"unseen": "val", "seen": "train", "unseen thing": "unseen"}
"""Splits by kind of prompt: a known thing in a style that it was never seen in, a pair of the training, a new thing."""
AMONG = 5
"""The thing is also right among so many of the judge's most probable answers."""


@dataclass(frozen=True)
class EmojiJudge:
    """A PictureJudge of emoji."""

    network: EmojiNetwork
    names: EmojiNames
    combinations: tuple[str, ...] = tuple(COMBINATIONS)
    attributes: tuple[str, ...] = ("thing", "thing among five", "style")

    @classmethod
    def of(cls, data: str = SOURCE) -> "EmojiJudge":
        """The judge for `emoji`, or for `emoji:SPLIT` with that split's prompts alone. Raises InputError."""
        split = split_named(data)
        chosen = tuple(kind for kind, of in COMBINATIONS.items() if split in ("", of))
        return cls(*load_emoji_network(), combinations=chosen)

    def prompts(self, combination: str, count: int, draws: np.random.Generator) -> list[str]:
        """Captions of the combination's split in random order, each once; fewer than `count` if there are fewer."""
        captions = self.names.captions(COMBINATIONS[combination])
        return [captions[i] for i in draws.permutation(len(captions))[:count].tolist()]

    def conditions(self, caption: str) -> dict[str, Any]:
        """None: every caption names one thing."""
        return {}

    def knows(self, caption: str) -> bool:
        """Whether the caption is a known thing and style."""
        try:
            self.names.named(caption)
        except InputError:
            return False
        return True

    def verdict(self, images: Tensor, captions: Sequence[str]) -> Verdict:
        """Whether the thing is the first answer, is among the first five, and whether the style is right.

        Raises InputError for a caption that is not a known thing and style.
        """
        things, styles = self._named(captions)
        logits = self.network.read(images)
        rank, style = logits.rank(things), logits.style.argmax(1) == styles
        attributes = dict(zip(self.attributes, (rank < 1, rank < AMONG, style), strict=True))
        return Verdict(attributes, (rank < 1) & style & ~logits.refused)

    def grade(self, images: Tensor, captions: Sequence[str]) -> Tensor:
        """(B,) log-probability of the thing plus that of the style."""
        things, styles = self._named(captions)
        logits = self.network.read(images)
        pairs = ((logits.thing, things), (logits.style, styles))
        return sum((read.log_softmax(1).gather(1, truth[:, None])[:, 0] for read, truth in pairs), torch.zeros(()))

    def _named(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(B,) class numbers of the things and styles that captions name."""
        things, styles = torch.tensor([self.names.named(text) for text in captions]).view(-1, 2).unbind(1)
        return things, styles

    def features(self, images: Tensor) -> Tensor:
        """(B, 256): activations before the last layer."""
        return self.network.features_of(images)

    def agreement(self, size: int, count: int, seed: int, progress: Progress) -> list[Measure]:
        """See `emoji_agreement`. Raises InputError if the emoji are not built."""
        pictures = EmojiPictures.of(built_emoji(), self.names)
        return emoji_agreement(self.network, pictures, size, count, seed, progress)
