"""The judge's network for levels 2 and 3 of `shapes`: it finds each object, and reads its attributes in a glimpse.

A map of the picture for each place in reading order says roughly where that object is. A first glimpse, a small window
of the picture around that place, corrects its centre and radius. A second one, which is as wide as the object, shows
every object at the same size, so that a small dotted ring looks like a large one; shape, colour, size and texture are
read from it, by the same layers for every object.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dream.evaluation.judging.reading import PER_THING, WIDE, DrawingReader

CELLS = WIDE.side // 4
"""Side length of the maps."""
CLOSE = 0.25
"""In training a place found within this share of the radius is read as found, any other where the object is."""
_FINE, _COARSE, _HIDDEN, _GLIMPSE = 64, 80, 128, 160
_WIDE_WINDOW, _CLOSE_WINDOW = 1.6, 1.2
"""Half the width of the two glimpses, in radii of the object."""
_RADIUS = 0.136
"""A middling radius, as a fraction of the side."""
_ROUGH_SIDE, _CLOSE_SIDE = 20, 32
"""Side lengths of the two glimpses in pixels."""


class Found(NamedTuple):
    """Where a network found the objects. A place is x, y and radius as fractions of the side."""

    where: Tensor
    """(B, slots, CELLS * CELLS): log-probabilities of each object's centre."""
    rough: Tensor
    """(B, slots, 3): places after the map."""
    places: Tensor
    """(B, slots, 3): places after the first glimpse."""


class WideNetwork(DrawingReader):
    """Reads everything that level 3 names: one to three objects with shape, colour, size and texture."""

    reach = WIDE

    def __init__(self) -> None:
        super().__init__()
        self.outputs = self.reach.outputs
        self.fine = nn.Sequential(
            *_layer(3, 24, 5, 2), *_layer(24, 24, 3, 1), *_layer(24, _FINE, 3, 2), *_layer(_FINE, _FINE, 3, 1)
        )
        self.coarse = nn.Sequential(*_layer(_FINE, _COARSE, 3, 2), *_layer(_COARSE, _COARSE, 3, 1))
        self.whole = nn.Sequential(nn.Flatten(), nn.Linear(_COARSE * (CELLS // 2) ** 2, _HIDDEN), nn.ReLU())
        self.picture = nn.Linear(_HIDDEN, self.outputs["layout"] + self.outputs["ground"])
        self.beside = nn.Conv2d(_FINE + _COARSE, _COARSE, 1)
        self.around = nn.Linear(_HIDDEN, _COARSE)
        self.position = nn.Parameter(0.1 * torch.randn(_COARSE, CELLS, CELLS))
        self.maps = nn.Conv2d(_COARSE, self.reach.slots, 1)
        self.rough = nn.Sequential(nn.Linear(_FINE + _COARSE + _HIDDEN, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 3))
        self.correction = nn.Sequential(
            *_layer(3, 16, 5, 2),
            *_layer(16, 32, 3, 1),
            *_layer(32, 32, 3, 2),
            nn.Flatten(),
            nn.Linear(32 * (_ROUGH_SIDE // 4) ** 2, 64),
            nn.ReLU(),
            nn.Linear(64, 3),
        )
        self.glimpse = nn.Sequential(
            *_layer(3, 24, 3, 1),
            *_layer(24, 32, 3, 2),
            *_layer(32, 48, 3, 1),
            *_layer(48, 64, 3, 2),
            *_layer(64, 64, 3, 1),
            nn.Flatten(),
            nn.Linear(64 * (_CLOSE_SIDE // 4) ** 2, _GLIMPSE),
            nn.ReLU(),
        )
        self.thing = nn.Sequential(nn.Linear(_GLIMPSE + _FINE + _COARSE + _HIDDEN + 3, 2 * _HIDDEN), nn.ReLU())
        self.words = nn.Linear(2 * _HIDDEN, sum(self.outputs[name] for name in PER_THING))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits by attribute, see `DrawingReader`."""
        return self.located(images)[0]

    def located(self, images: Tensor, known: Tensor | None = None) -> tuple[dict[str, Tensor], Found]:
        """Logits by attribute, and where the objects were found.

        `known` places (B, slots, 3), NaN where there is no object, are read in place of those that are found badly.
        """
        pictures = 2 * images - 1
        fine = self.fine(pictures)  # (B, F, CELLS, CELLS)
        coarse = self.coarse(fine)  # (B, C, CELLS / 2, CELLS / 2)
        whole = self.whole(coarse)  # (B, H)
        features = torch.cat([fine, F.interpolate(coarse, scale_factor=2.0, mode="nearest")], 1)
        hints = self.beside(features) + self.around(whole)[:, :, None, None] + self.position
        where = self.maps(hints.relu()).flatten(2).log_softmax(-1)  # (B, slots, CELLS * CELLS)
        there = where.exp() @ features.flatten(2).transpose(1, 2)  # (B, slots, F + C)
        there = torch.cat([there, whole[:, None].expand(-1, there.shape[1], -1)], 2)
        rough = self._rough(where, there)
        seen = _better(rough.detach(), known)
        places = _moved(seen, self.correction(_glimpses(pictures, seen, _WIDE_WINDOW, _ROUGH_SIDE)).view(seen.shape))
        seen = _better(places.detach(), known)
        glimpses = self.glimpse(_glimpses(pictures, seen, _CLOSE_WINDOW, _CLOSE_SIDE)).unflatten(0, seen.shape[:2])
        words = self.words(self.thing(torch.cat([glimpses, there, _scaled(seen)], 2)))
        layout, ground = self.picture(whole).split([self.outputs["layout"], self.outputs["ground"]], -1)
        of_things = dict(zip(PER_THING, words.split([self.outputs[name] for name in PER_THING], -1), strict=True))
        return {"layout": layout, "ground": ground, **of_things}, Found(where, rough, places)

    def _rough(self, where: Tensor, there: Tensor) -> Tensor:
        """(B, slots, 3) places: the map's mean, moved by at most two cells, and a radius of 0.05 to 0.37."""
        middles = (torch.arange(CELLS, device=where.device) + 0.5) / CELLS
        share = where.exp().unflatten(2, (CELLS, CELLS))
        centre = torch.stack([share.sum(2) @ middles, share.sum(3) @ middles], 2)
        moves = self.rough(there)
        radius = _RADIUS * moves[..., 2:].tanh().exp()
        return torch.cat([centre + 2 / CELLS * moves[..., :2].tanh(), radius], 2)


def _layer(inside: int, outside: int, kernel: int, stride: int) -> list[nn.Module]:
    conv = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
    return [conv, nn.BatchNorm2d(outside), nn.ReLU()]


def _better(found: Tensor, known: Tensor | None) -> Tensor:
    """The places as found, but the known ones where they are known and not found closely."""
    if known is None:
        return found
    apart = (found - known).abs() / known[..., 2:]
    return torch.where((apart > CLOSE).any(-1, keepdim=True), known, found)


def _moved(places: Tensor, moves: Tensor) -> Tensor:
    """Places moved by half a radius at most, their radius changed by a third at most."""
    shift = 0.5 * moves[..., :2].tanh() * places[..., 2:]
    return torch.cat([places[..., :2] + shift, places[..., 2:] * (0.4 * moves[..., 2:].tanh()).exp()], 2)


def _scaled(places: Tensor) -> Tensor:
    """Places as numbers of about 1."""
    return torch.cat([4 * places[..., :2] - 2, 2 * (places[..., 2:] / _RADIUS).log()], 2)


def _glimpses(pictures: Tensor, places: Tensor, reach: float, side: int) -> Tensor:
    """(B * slots, 3, side, side): the pictures around each place, up to `reach` radii from it in each direction."""
    steps = (2 * torch.arange(side, device=places.device) + 1) / side - 1
    across = (places[..., 0, None] + reach * places[..., 2, None] * steps)[:, :, None, :].expand(-1, -1, side, -1)
    down = (places[..., 1, None] + reach * places[..., 2, None] * steps)[:, :, :, None].expand(-1, -1, -1, side)
    grid = 2 * torch.stack([across, down], -1) - 1  # (B, slots, side, side, 2)
    seen = F.grid_sample(pictures, grid.flatten(1, 2), padding_mode="border", align_corners=False)
    seen = seen.unflatten(2, (places.shape[1], side)).transpose(1, 2).flatten(0, 1)
    return seen.contiguous(memory_format=torch.channels_last)
