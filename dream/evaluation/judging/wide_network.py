"""The judge's network for levels 2 and 3 of `shapes`: it finds each object, and reads its attributes where it is.

A map of the picture for each place in reading order says where that object is (trained on the true centres); the
object's shape, colour, size and texture are read from the features there, by the same layers for every object.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream.evaluation.judging.reading import PER_THING, WIDE, DrawingReader

CELLS = WIDE.side // 4
"""Side length of the maps."""
_FINE, _COARSE, _HIDDEN = 64, 96, 128


class WideNetwork(DrawingReader):
    """Reads everything that level 3 names: one to three objects with shape, colour, size and texture."""

    reach = WIDE

    def __init__(self) -> None:
        super().__init__()
        self.outputs = self.reach.outputs
        self.fine = nn.Sequential(
            *_layer(3, 24, 5, 2), *_layer(24, 32, 3, 1), *_layer(32, _FINE, 3, 2), *_layer(_FINE, _FINE, 3, 1)
        )
        self.coarse = nn.Sequential(*_layer(_FINE, _COARSE, 3, 2), *_layer(_COARSE, _COARSE, 3, 1))
        self.whole = nn.Sequential(nn.Flatten(), nn.Linear(_COARSE * (CELLS // 2) ** 2, _HIDDEN), nn.ReLU())
        self.picture = nn.Linear(_HIDDEN, self.outputs["layout"] + self.outputs["ground"])
        self.beside = nn.Conv2d(_FINE + _COARSE, _COARSE, 1)
        self.around = nn.Linear(_HIDDEN, _COARSE)
        self.position = nn.Parameter(0.1 * torch.randn(_COARSE, CELLS, CELLS))
        self.maps = nn.Conv2d(_COARSE, self.reach.slots, 1)
        self.thing = nn.Sequential(nn.Linear(_FINE + _COARSE, 2 * _HIDDEN), nn.ReLU())
        self.words = nn.Linear(2 * _HIDDEN, sum(self.outputs[name] for name in PER_THING))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits by attribute, see `DrawingReader`."""
        return self.located(images)[0]

    def located(self, images: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Logits by attribute, and log-probabilities (B, slots, CELLS * CELLS) of each object's centre."""
        fine = self.fine(2 * images - 1)  # (B, F, CELLS, CELLS)
        coarse = self.coarse(fine)  # (B, C, CELLS / 2, CELLS / 2)
        whole = self.whole(coarse)  # (B, H)
        features = torch.cat([fine, F.interpolate(coarse, scale_factor=2.0, mode="nearest")], 1)
        hints = self.beside(features) + self.around(whole)[:, :, None, None] + self.position
        where = self.maps(hints.relu()).flatten(2).log_softmax(-1)  # (B, slots, CELLS * CELLS)
        things = self.thing(where.exp() @ features.flatten(2).transpose(1, 2))  # (B, slots, 2 H)
        words = self.words(things).split([self.outputs[name] for name in PER_THING], -1)
        layout, ground = self.picture(whole).split([self.outputs["layout"], self.outputs["ground"]], -1)
        return {"layout": layout, "ground": ground, **dict(zip(PER_THING, words, strict=True))}, where


def _layer(inside: int, outside: int, kernel: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outside), nn.ReLU()]
