"""Training pictures of the fine-tuning task: shuffled batches, and random crops and flips of photos."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from dream.config import DreamConfig
from dream.data.emoji.corpus import is_emoji
from dream.errors import InputError
from dream.evaluation.classes.examples import Examples, example_chunks, joined_examples
from dream.evaluation.classes.folders import folder_rows
from dream.evaluation.classes.pictures import choose_rows, read_rows
from dream.evaluation.classes.sources import written_by_datasets
from dream.randomness import generator

MEMORY = 4 * 2**30
"""Bytes of training pictures held in memory; a larger folder is read again each epoch."""
COUNTS = {"train": 1000, "test": 1000}
"""Drawn pictures if no count is given."""


@dataclass(frozen=True)
class PictureRequest:
    """Pictures to train on."""

    data: str
    label: str
    """Attribute of drawn shapes and emoji."""
    count: int | None
    """At most this many pictures, spread evenly over the classes of a stored set."""
    batch_size: int
    crop: float
    """Smallest share of a photo's area that a random crop keeps; 1: no crops."""
    flip: bool
    """Mirror photos at random."""
    seed: int


class TrainingPictures:
    """Shuffled batches of the training split, from memory or, for a large folder, read again each epoch."""

    def __init__(self, request: PictureRequest, config: DreamConfig) -> None:
        """Raises InputError for a source that cannot be opened, or a hub set that is too large to hold."""
        self.request, self.size = request, config.image.size
        self.photos = request.data != "shapes" and not is_emoji(request.data)
        self._rows = None
        folder = Path(request.data).expanduser()
        if self.photos and folder.is_dir() and not written_by_datasets(folder):
            rows, self.classes = folder_rows(folder, "train")
            rows = choose_rows(rows, request.count, request.seed)
            if len(rows) * self._bytes > MEMORY:
                self._rows, self.count = rows, len(rows)
                return
        count = request.count or (COUNTS["train"] if request.data == "shapes" else None)
        held = self._held(
            example_chunks(request.data, config, "train", labels=(request.label,), count=count, seed=request.seed)
        )
        ((name, self._labels),) = held.labels.items()
        self._images, self.classes, self.count = held.inputs, held.classes[name], len(held.inputs)

    @property
    def _bytes(self) -> int:
        return 3 * self.size**2

    def batches(self, epoch: int, draws: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures (B, 3, H, W) uint8 and labels (B,) of one epoch."""
        crop, flip = self.request.crop, self.request.flip
        for images, labels in self._shuffled(epoch):
            yield augmented(images, crop, flip, draws) if self.photos else images, labels

    def _shuffled(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.request.batch_size
        order = torch.randperm(self.count, generator=generator(self.request.seed, "fine tune order", epoch))
        if self._rows is None:
            for rows in order.split(size):
                yield self._images[rows], self._labels[rows]
            return
        images, labels = torch.empty(0, 3, self.size, self.size, dtype=torch.uint8), torch.empty(0).long()
        for chunk in read_rows((self._rows[i] for i in order.tolist()), self.classes, self.size):
            images, labels = torch.cat([images, chunk.images]), torch.cat([labels, chunk.labels])
            while len(images) >= size:
                yield images[:size], labels[:size]
                images, labels = images[size:], labels[size:]
        if len(images):
            yield images, labels

    def _held(self, chunks: Iterator[Examples]) -> Examples:
        held, size = [], 0
        for chunk in chunks:
            held.append(chunk)
            size += len(chunk.inputs) * self._bytes
            if size > MEMORY:
                raise InputError(
                    f"the pictures of '{self.request.data}' do not fit into {MEMORY >> 30} GiB: set "
                    f"fine_tune.train_count, or use a folder of class folders, which is read again each epoch"
                )
        return joined_examples(held)


def augmented(images: Tensor, crop: float, flip: bool, draws: Generator) -> Tensor:
    """Photos (B, 3, H, W) uint8, each randomly cropped (area `crop` to 1, sides 3:4 to 4:3) and mirrored."""
    result = images.clone()
    size = images.shape[-1]
    for row, image in enumerate(images):
        u = torch.rand(5, generator=draws).tolist()
        if crop < 1:
            area = crop + (1 - crop) * u[0]
            ratio = math.exp((2 * u[1] - 1) * math.log(4 / 3) / 2)  # square root of width over height
            width, height = (max(1, min(size, round(size * math.sqrt(area) * r))) for r in (ratio, 1 / ratio))
            left, top = int(u[2] * (size - width + 1)), int(u[3] * (size - height + 1))
            cut = image[None, :, top : top + height, left : left + width].float()
            scaled = F.interpolate(cut, (size, size), mode="bilinear", antialias=True)
            result[row] = scaled[0].round().clamp(0, 255).to(torch.uint8)
        if flip and u[4] < 0.5:
            result[row] = result[row].flip(-1)
    return result
