"""Network of the judge of emoji: reads which thing a picture shows, and in which style.

It is trained on renderings of the artists' drawings (`emoji_renderings`), never on a model's pictures. The weights come
from `python -m dream.evaluation.judging.train_emoji_judge`.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dream.evaluation.judging.emoji_names import STYLES, EmojiNames
from dream.evaluation.judging.emoji_renderings import SIDE
from dream.evaluation.judging.networks import load_network, to_read
from dream.weights.finite import require_finite

EMOJI_WEIGHTS = Path(__file__).with_name("emoji.safetensors")
WIDTHS = (32, 96, 224)
"""Channels at 24, 12 and 6 pixels."""
FEATURES = 256
"""Numbers per picture before the last layer."""
TEXTURE = (1, 3, 5)
"""Layers of the trunk whose channels tell the style, at 24, 12 and 6 pixels."""
SEEN = FEATURES + 2 * sum(WIDTHS)
"""Numbers per picture that the style is read from."""
CODE = 24
"""Numbers per picture that are compared with how a thing looks in each style."""
ROWS = 256
"""Pictures read at once."""


class EmojiLogits(NamedTuple):
    """Logits of B pictures."""

    thing: Tensor
    """(B, things + 1); the last one is 'none of these'."""
    style: Tensor
    """(B, styles)."""

    @property
    def refused(self) -> Tensor:
        """(B,) bool: 'none of these' is more probable than all things together."""
        return self.thing.softmax(1)[:, -1] > 0.5

    def rank(self, things: Tensor) -> Tensor:
        """(B,) number of things that are more probable than the one asked for; 0: it is the first answer."""
        return (self.thing[:, :-1] > self.thing.gather(1, things[:, None])).sum(1)


class EmojiNetwork(nn.Module):
    """Logits of (B, 3, SIDE, SIDE) pictures in [0, 1]."""

    def __init__(self, things: int) -> None:
        super().__init__()
        low, middle, high = WIDTHS
        self.trunk = nn.Sequential(
            nn.PixelUnshuffle(2),
            _convolution(12, low),
            _convolution(low, middle, 2),
            _Residual(middle),
            _convolution(middle, high, 2),
            _Residual(high),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(4 * high, FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES),
            nn.ReLU(),
        )
        self.thing, self.plain_style = nn.Linear(FEATURES, things + 1), nn.Linear(FEATURES, len(STYLES))
        self.style = StyleHead(things)

    def forward(self, images: Tensor) -> EmojiLogits:
        """Logits of thing and style."""
        return self.logits(self.seen(images))

    def seen(self, images: Tensor) -> Tensor:
        """(B, SEEN): features, then mean and spread of every channel of three layers, which tell the style."""
        x, texture = (2 * images - 1).contiguous(memory_format=torch.channels_last), []
        for number, layer in enumerate(self.trunk):
            x = layer(x)
            if number in TEXTURE:
                texture += [x.mean((2, 3)), (x.var((2, 3)) + 1e-5).sqrt()]
        return torch.cat([x, *texture], 1)

    def logits(self, seen: Tensor) -> EmojiLogits:
        """Logits from what `seen` gives."""
        things = self.thing(seen[:, :FEATURES])
        return EmojiLogits(things, self.style(seen, things[:, :-1].softmax(1)))

    def first_logits(self, seen: Tensor) -> EmojiLogits:
        """Logits whose style is read from the features alone, with which the network is trained first."""
        return EmojiLogits(self.thing(seen[:, :FEATURES]), self.plain_style(seen[:, :FEATURES]))

    @torch.no_grad()
    def seen_in(self, images: Tensor) -> Tensor:
        """(B, SEEN) of square pictures (B, 3, H, W) of any size, uint8 or float in [0, 1]."""
        pictures = require_finite(to_read(images, SIDE), "the pictures to judge")
        seen = torch.cat([self.seen(chunk) for chunk in pictures.split(ROWS)])
        return require_finite(seen, "the judge's features of pictures")

    def features_of(self, images: Tensor) -> Tensor:
        """(B, FEATURES) activations before the last layer, of pictures as in `seen_in`."""
        return self.seen_in(images)[:, :FEATURES]

    @torch.no_grad()
    def read(self, images: Tensor) -> EmojiLogits:
        """Logits of square pictures (B, 3, H, W) of any size, uint8 or float in [0, 1]."""
        logits = self.logits(self.seen_in(images))
        return EmojiLogits(*(require_finite(values, "the judge's logits") for values in logits))


class StyleHead(nn.Module):
    """Logits of the style: from what any picture of a style looks like, and how the thing looks in each style."""

    def __init__(self, things: int) -> None:
        super().__init__()
        self.norm = nn.Sequential(nn.BatchNorm1d(SEEN, affine=False), nn.Dropout(0.2))
        self.any_thing = nn.Sequential(nn.Linear(SEEN, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, len(STYLES)))
        self.code = nn.Linear(SEEN, CODE)
        self.of_thing = nn.Parameter(torch.zeros(things, len(STYLES) * CODE))

    def forward(self, seen: Tensor, things: Tensor) -> Tensor:
        """(B, styles) logits, from (B, SEEN) and the probabilities (B, things)."""
        normed = self.norm(seen)
        looks = (things @ self.of_thing).unflatten(1, (len(STYLES), CODE))  # (B, styles, CODE)
        return self.any_thing(normed) + (looks * self.code(normed)[:, None]).sum(2)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.change = _convolution(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.change(x)


def _convolution(inside: int, outside: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
    )


@cache
def load_emoji_network(path: Path = EMOJI_WEIGHTS) -> tuple[EmojiNetwork, EmojiNames]:
    """The network that ships with the package, in eval mode, and the names of what it reads."""
    names = EmojiNames.read(path.with_suffix(".json"))
    return load_network(EmojiNetwork(len(names.things)), path), names
