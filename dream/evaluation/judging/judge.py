"""Judge: small networks that read every attribute of a drawn picture, and so tell whether a caption is true of it.

One network knows levels 0 and 1 of `shapes` (one or two objects, their shape and colour, the ground and the layout),
another levels 2 and 3 (up to three objects, all shapes and colours, size and texture); the caption decides which one
reads. Malformed objects, odd grounds and odd layouts are classes of their own, so a ragged cross is not a cross. They
are trained on fresh drawings (`damage`), never on a model's pictures. The weights and their accuracy are stored next to
this file; they come from `python -m dream.evaluation.judging.train_judge` (and `--wide`). In pictures too small for
their level, dots and points are narrower than a pixel: those are refused (READ_FROM).
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.data.drawn.grammar import parse_caption
from dream.errors import InputError
from dream.evaluation.judging.interface import Verdict
from dream.evaluation.judging.networks import fused, load_network
from dream.evaluation.judging.reading import IGNORE, NARROW, DrawingReader
from dream.evaluation.judging.wide_network import WideNetwork

WEIGHTS = Path(__file__).with_name("judge.safetensors")
WIDE_WEIGHTS = Path(__file__).with_name("wide.safetensors")
READ_FROM = (16, 16, 24, 28)
"""Side length in pixels, by level, from which 0.98 of held-out drawings are read right in every attribute."""


class Judge(DrawingReader):
    """The network for levels 0 and 1, which asks the one for levels 2 and 3 about captions beyond its own."""

    reach = NARROW

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        classes = self.reach.outputs
        self.sizes = (classes["layout"], classes["ground"]) + 2 * (classes["shape"], classes["colour"])
        channels = (3, width, 2 * width, 3 * width, 4 * width, 4 * width)
        strides = (1, 2, 1, 2, 2)
        layers: list[nn.Module] = []
        for inside, outside, stride in zip(channels[:-1], channels[1:], strides, strict=True):
            layers += [nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.heads = nn.Sequential(nn.Linear(4 * width * 16, 128), nn.ReLU(), nn.Linear(128, sum(self.sizes)))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits by attribute; shape and colour are (B, 2, classes), the others (B, classes)."""
        logits = self.heads(self.features(2 * images - 1))  # (B, classes of all attributes)
        layout, ground, shape0, colour0, shape1, colour1 = logits.split(self.sizes, 1)
        return {
            "layout": layout,
            "ground": ground,
            "shape": torch.stack([shape0, shape1], 1),  # (B, 2, shapes + 1)
            "colour": torch.stack([colour0, colour1], 1),  # (B, 2, colours)
        }

    def reader(self, level: int) -> DrawingReader:
        """The network that reads pictures of a level of `shapes`."""
        return self if level <= self.reach.level else _wide_network()

    def attributes(self, images: Tensor, captions: Sequence[str], refusing: bool = True) -> dict[str, Tensor]:
        """(B,) bool per attribute: the picture has it as its caption says.

        Attributes are layout, ground, shape and colour, and if any caption is beyond level 1, size and texture, which
        are true where captions of levels 0 and 1 do not name them. With `refusing`, malformed objects agree with
        nothing. Raises InputError for a caption that is not of `shapes`.
        """
        return self._both(images, captions)[refusing]

    def correct(self, images: Tensor, captions: Sequence[str], refusing: bool = True) -> Tensor:
        """(B,) bool: the picture shows every attribute that the caption names, and nothing else."""
        return _all(self.attributes(images, captions, refusing))

    def verdict(self, images: Tensor, captions: Sequence[str]) -> Verdict:
        """`attributes` without refusing, and `correct` with refusing, from one pass over the pictures."""
        lenient, strict = self._both(images, captions)
        return Verdict(lenient, _all(strict))

    def grade(self, images: Tensor, captions: Sequence[str]) -> Tensor:
        """(B,) log-probability of everything that the caption names, 'none of these' counted as a class."""
        total = torch.zeros(len(captions))
        for read in self._read(images, captions):
            for name, truth in read.labels.items():
                nats = read.logits[name].log_softmax(-1)
                of_truth = nats.gather(-1, truth.clamp(min=0).unsqueeze(-1))[..., 0].masked_fill(truth == IGNORE, 0.0)
                total[read.chosen] += of_truth.reshape(len(truth), -1).sum(1)
        return total

    def _both(self, images: Tensor, captions: Sequence[str]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """(B,) bool per attribute, without and with refusing."""
        both: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        for read in self._read(images, captions):
            for flags, refusing in zip(both, (False, True), strict=True):
                for name, same in read.reader.reading(read.logits, refusing).agrees(read.labels).items():
                    flags.setdefault(name, torch.ones(len(captions), dtype=torch.bool))[read.chosen] = same
        return both

    def _read(self, images: Tensor, captions: Sequence[str]) -> Iterator["_Read"]:
        """The pictures as the network that knows their captions reads them: one part, or two."""
        scenes = [parse_caption(text) for text in captions]
        own = torch.tensor([self.reach.knows(scene) for scene in scenes], dtype=torch.bool)
        readers: list[tuple[DrawingReader, Tensor]] = (
            [(self, own)] if own.all() else [(self, own), (_wide_network(), ~own)]
        )
        for reader, chosen in readers:
            rows = chosen.nonzero()[:, 0].tolist()
            if not rows and len(readers) > 1:
                continue
            numbers = reader.reach.labels([scenes[row] for row in rows])
            labels = {name: torch.from_numpy(values) for name, values in numbers.items()}
            logits = reader.logits(images if len(rows) == len(images) else images[rows])
            yield _Read(reader, chosen, labels, logits)


class _Read(NamedTuple):
    """The part of some pictures that one network reads."""

    reader: DrawingReader
    chosen: Tensor
    """(B,) bool: the part."""
    labels: dict[str, Tensor]
    logits: dict[str, Tensor]


def _all(attributes: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(attributes.values())).all(0)


def judged_level(config: DreamConfig) -> int:
    """Level of `shapes` that the model was trained on. Raises InputError if its pictures are too small to be judged."""
    level, size = config.data.level, config.image.size
    if size < READ_FROM[level]:
        raise InputError(
            f"prompts, selection and judge need the judge, which reads level {level} of shapes well enough from "
            f"{READ_FROM[level]} pixels on; this model's pictures have {size}"
        )
    return level


@cache
def load_judge() -> Judge:
    """The judge that ships with the package, in eval mode."""
    return load_network(Judge(), WEIGHTS)


@cache
def _wide_network() -> WideNetwork:
    network = fused(load_network(WideNetwork(), WIDE_WEIGHTS))
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return] # faster on a CPU
