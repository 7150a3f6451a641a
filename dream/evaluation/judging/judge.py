"""Judge: a small network that reads every attribute of a drawn picture, and so tells whether a caption is true of it.

It knows level 1 of `shapes`: one or two objects, their shape and colour, the ground and the layout. Malformed objects,
odd grounds and odd layouts are classes of their own, so a ragged cross is not a cross. It is trained on fresh drawings
(`damage`), never on a model's pictures. The weights and their accuracy are stored next to this file; they come from
`python -m dream.evaluation.judging.train_judge`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from dream.config import DreamConfig
from dream.data.drawn.grammar import Scene, parse_caption
from dream.errors import InputError
from dream.evaluation.judging import damage
from dream.evaluation.judging.damage import CLASSES, IGNORE, KNOWN_COLOURS, KNOWN_SHAPES, LAYOUTS, LEVEL, SIZE
from dream.evaluation.judging.interface import Verdict
from dream.weights.finite import require_finite

WEIGHTS = Path(__file__).with_name("judge.safetensors")


@dataclass(frozen=True)
class Reading:
    """Attributes that the judge reads in B pictures, as class numbers; one past the last is 'none of these'."""

    layout: Tensor
    """(B,) numbers into LAYOUTS: alone, left of, above."""
    ground: Tensor
    """(B,) numbers into GROUNDS."""
    shape: Tensor
    """(B, 2) numbers into KNOWN_SHAPES, in reading order; for a single object the second is undefined."""
    colour: Tensor
    """(B, 2) numbers into KNOWN_COLOURS."""

    def agrees(self, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """(B,) bool per attribute: read as labelled; IGNORE agrees with everything."""

        def same(read: Tensor, truth: Tensor) -> Tensor:
            return ((read == truth) | (truth == IGNORE)).reshape(len(read), -1).all(1)

        return {name: same(getattr(self, name), labels[name]) for name in ("layout", "ground", "shape", "colour")}


class Judge(nn.Module):
    """Logits of every attribute of (B, 3, SIZE, SIZE) pictures in [0, 1]."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.sizes = (CLASSES["layout"] + 1, CLASSES["ground"] + 1) + 2 * (CLASSES["shape"] + 1, CLASSES["colour"])
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

    @torch.no_grad()
    def read(self, images: Tensor, refusing: bool = True) -> Reading:
        """Attributes of pictures (B, 3, H, W) of any size, uint8 or float in [0, 1].

        Malformed objects are read as 'none of these', or without `refusing` as what they resemble most.
        """
        return _reading(self._logits(images), refusing)

    def attributes(self, images: Tensor, captions: Sequence[str], refusing: bool = True) -> dict[str, Tensor]:
        """(B,) bool per attribute (layout, ground, shape, colour): the picture has it as its caption says.

        With `refusing`, malformed objects agree with nothing. Raises InputError for a caption that is not of level 0 or
        1 of `shapes`.
        """
        return self.read(images, refusing).agrees(_caption_labels(captions))

    def correct(self, images: Tensor, captions: Sequence[str], refusing: bool = True) -> Tensor:
        """(B,) bool: the picture shows every attribute that the caption names, and nothing else."""
        return _all(self.attributes(images, captions, refusing))

    def verdict(self, images: Tensor, captions: Sequence[str]) -> Verdict:
        """`attributes` without refusing, and `correct` with refusing, from one pass over the pictures."""
        labels, logits = _caption_labels(captions), self._logits(images)
        lenient, strict = (_reading(logits, refusing).agrees(labels) for refusing in (False, True))
        return Verdict(lenient, _all(strict))

    @torch.no_grad()
    def _logits(self, images: Tensor) -> dict[str, Tensor]:
        pictures = images.float() / 255 if images.dtype == torch.uint8 else images.float().clamp(0, 1)
        if pictures.shape[-2:] != (SIZE, SIZE):
            pictures = F.interpolate(pictures, (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)
        require_finite(pictures, "the pictures to judge")
        chunks = [self(chunk) for chunk in pictures.split(256)]
        logits = {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}
        return {name: require_finite(values, f"the judge's logits of '{name}'") for name, values in logits.items()}


def _reading(logits: Mapping[str, Tensor], refusing: bool) -> Reading:
    classes = {name: None if refusing else CLASSES[name] for name in logits}  # without refusing, 'none of these' is cut
    return Reading(**{name: values[..., : classes[name]].argmax(-1) for name, values in logits.items()})


def _all(attributes: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(attributes.values())).all(0)


def _caption_labels(captions: Sequence[str]) -> dict[str, Tensor]:
    """Labels of pictures that show the captions. Raises InputError for a caption that the judge does not know."""
    scenes = [parse_caption(text) for text in captions]
    for scene, text in zip(scenes, captions, strict=True):
        _check(scene, text)
    return {name: torch.from_numpy(numbers) for name, numbers in damage.labels_of(scenes).items()}


def _check(scene: Scene, text: str) -> None:
    known = all(
        thing.shape in KNOWN_SHAPES and thing.colour in KNOWN_COLOURS and not thing.size and not thing.texture
        for thing in scene.things
    )
    if not known or scene.relation not in LAYOUTS:
        raise InputError(
            f"the judge knows shapes of levels 0 and 1, one or two of {', '.join(KNOWN_SHAPES)} in "
            f"{', '.join(KNOWN_COLOURS)} without size or texture, not '{text}'"
        )


def judged_level(config: DreamConfig) -> int:
    """Level of `shapes` that the model was trained on. Raises InputError if the judge does not know it."""
    if config.data.level > LEVEL:
        raise InputError(
            f"prompts, selection and judge need the judge, which knows levels 0 to {LEVEL} of shapes; "
            f"this model was trained on level {config.data.level}"
        )
    return config.data.level


@cache
def load_judge() -> Judge:
    """The judge that ships with the package, in eval mode."""
    judge = Judge()
    judge.load_state_dict({name: tensor.float() for name, tensor in load_file(WEIGHTS).items()}, strict=True)
    return judge.eval().requires_grad_(False)
