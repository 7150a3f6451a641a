"""Fine-tuning: the whole encoder, with a linear layer on the mean of its image tokens, trained on classes.

Head and schedule of the published figure are not published. This is the field's recipe for ViTs (BEiT, arXiv
2106.08254; MAE, arXiv 2111.06377): AdamW, a learning rate that falls with the depth below the head, cosine
with warm-up, label smoothing. Crops and flips are for photos only. Left out of MAE's: RandAugment, mixup,
cutmix and drop path. The model itself is never changed: a copy of its encoder is trained, without dropout.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from dream.config import DreamConfig
from dream.errors import InputError
from dream.evaluation.classes.examples import Examples, example_chunks, joined_examples
from dream.evaluation.classes.features import CHUNK
from dream.evaluation.classes.pictures import choose_rows, folder_rows, read_rows, written_by_datasets
from dream.evaluation.classes.probe import accuracy, condition, schedule
from dream.evaluation.limits import at_least
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Measure
from dream.model.encoder import Encoder, equal_groups
from dream.randomness import generator

if TYPE_CHECKING:
    from dream.model.latents import ImageTokenizer
    from dream.model.pretrained import Pretrained

MEMORY = 4 * 2**30
"""Bytes of training pictures that are held; of a larger folder each epoch reads them again."""
BETAS = (0.9, 0.999)
LR_DRAWN = 3e-3
"""Peak learning rate on drawn shapes, for a small model and few steps."""
COUNTS = {"train": 1000, "test": 1000}
"""Drawn pictures where no count is given."""


@dataclass(frozen=True)
class FineTuneSettings:
    """The field's recipe, of few epochs. MAE's on ImageNet: epochs 100, batch_size 1024."""

    label: str = "shape"
    """What is told apart (shapes only); of several things the first counts."""
    epochs: int = 8
    """Passes over the training pictures."""
    batch_size: int = 64
    """Pictures a step."""
    lr: float | None = None
    """Peak learning rate of the head; none: 5e-4 * batch_size / 256 (MAE's), for shapes LR_DRAWN."""
    layer_decay: float = 0.75
    """Factor on the learning rate for each block below the head."""
    warmup: float = 0.1
    """Fraction of the training with a rising learning rate, before it falls as a cosine."""
    weight_decay: float = 0.05
    """Of matrices; none on biases, norms, buffer and position tables."""
    smoothing: float = 0.1
    """Share of the label that is spread over all classes."""
    crop: float = 0.35
    """Least share of a photo's area that a random crop keeps; 1 = no crops. Shapes are never cropped."""
    flip: bool = True
    """Photos are mirrored at random. Shapes never are."""
    train_count: int | None = None
    """Training pictures, evenly over the classes of a stored set; none: all (1,000 drawn ones)."""
    test_count: int | None = None
    """Test pictures; none: all (1,000 drawn ones)."""


class Classifier(nn.Module):
    """An encoder with a linear layer on the mean of its image tokens, nothing masked."""

    def __init__(
        self, encoder: Encoder, image_tokenizer: "ImageTokenizer", classes: tuple[str, ...], draws: Generator
    ) -> None:
        super().__init__()
        self.classes = classes
        self.encoder = encoder
        self.image_tokenizer = image_tokenizer
        self.head = nn.utils.skip_init(nn.Linear, encoder.norm_out.weight.shape[0], len(classes))
        nn.init.trunc_normal_(self.head.weight, std=0.01, generator=draws)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C) logits of pictures (B, 3, H, W) uint8."""
        with torch.no_grad():  # a VAE stays as it is
            tokens = self.image_tokenizer.tokenize(images).to(self.head.weight.device)
        bare = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        encoded = self.encoder(tokens, equal_groups(bare)).split()[0]  # (B, R + N, D)
        return self.head(encoded[:, self.encoder.buffer_tokens :].mean(dim=1))

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """(B, C) on the CPU, in parts that fit the memory."""
        return torch.cat([self(part).float().cpu() for part in images.split(CHUNK)])


def fine_tune(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    settings: FineTuneSettings = FineTuneSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Measure]:
    """Test accuracy of the fine-tuned classifier, with the share of the most frequent class as `chance`.

    Raises InputError for bad settings, a source that cannot be opened, or labels that it has not.
    """
    classifier = fine_tuned(pretrained, data, settings, seed, progress)
    count = settings.test_count or (COUNTS["test"] if data == "shapes" else None)
    chunks = example_chunks(data, pretrained.config, "test", labels=(settings.label,), count=count, seed=seed)
    test = joined_examples(
        Examples(classifier.logits(part.inputs), part.labels, part.classes) for part in chunks if len(part.inputs)
    )
    ((label, truth),) = test.labels.items()
    where = {"data": data, **condition(label), "chance": test.chance(label)}
    return accuracy("fine_tune", "accuracy", test.inputs, truth, where)


def check(settings: FineTuneSettings) -> None:
    """Raises InputError for settings out of range."""
    at_least("fine_tune", settings, epochs=1, batch_size=1, weight_decay=0, train_count=2, test_count=1)
    for name in ("layer_decay", "crop"):
        if not 0 < getattr(settings, name) <= 1:
            raise InputError(f"fine_tune.{name} must be in (0, 1], got {getattr(settings, name)}")
    for name in ("warmup", "smoothing"):
        if not 0 <= getattr(settings, name) < 1:
            raise InputError(f"fine_tune.{name} must be in [0, 1), got {getattr(settings, name)}")
    if settings.lr is not None and not settings.lr > 0:
        raise InputError(f"fine_tune.lr must be above 0, got {settings.lr}")


def fine_tuned(
    pretrained: "Pretrained",
    data: str = "shapes",
    settings: FineTuneSettings = FineTuneSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> Classifier:
    """A classifier of the data's classes that grew from a copy of the model's encoder, in eval mode."""
    check(settings)
    reader = TrainingPictures(data, pretrained.config, settings, seed)
    draws = generator(seed, "fine tune")
    device = next(pretrained.model.parameters()).device
    encoder = copy.deepcopy(pretrained.model.encoder).requires_grad_(True)
    classifier = Classifier(encoder, pretrained.image_tokenizer, reader.classes, draws).to(device).eval()
    optimizer = torch.optim.AdamW(parameter_groups(classifier, settings), betas=BETAS)
    peak = settings.lr or (LR_DRAWN if data == "shapes" else 5e-4 * settings.batch_size / 256)
    total, step = settings.epochs * math.ceil(reader.count / settings.batch_size), 0
    for epoch in range(settings.epochs):
        for images, labels in reader.batches(epoch, draws):
            for group in optimizer.param_groups:
                group["lr"] = peak * group["factor"] * schedule(step / total, settings.warmup)
            loss = F.cross_entropy(classifier(images), labels.to(device), label_smoothing=settings.smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        progress((epoch + 1) / settings.epochs, f"epoch {epoch + 1} of {settings.epochs}")
    return classifier.requires_grad_(False)


def parameter_layer(name: str, depth: int) -> int:
    """Layer of a parameter: 0 the embedding, 1 the first block, `depth` + 1 the last norm and the head."""
    parts = name.split(".")
    if parts[:2] == ["encoder", "blocks"]:
        return int(parts[2]) + 1
    return depth + 1 if parts[0] == "head" or parts[1] == "norm_out" else 0


def parameter_groups(classifier: Classifier, settings: FineTuneSettings) -> list[dict[str, object]]:
    """AdamW's groups by layer and decay; `factor` scales the learning rate (BEiT's layer-wise decay)."""
    depth = len(classifier.encoder.blocks)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in classifier.named_parameters():
        decays = parameter.ndim > 1 and not name.endswith(("positions", "buffer"))
        groups.setdefault((parameter_layer(name, depth), decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": settings.weight_decay if decays else 0.0,
            "factor": settings.layer_decay ** (depth + 1 - layer),
        }
        for (layer, decays), parameters in groups.items()
    ]


class TrainingPictures:
    """Shuffled batches of the training split, from memory or, of a large folder, read again each epoch."""

    def __init__(self, data: str, config: DreamConfig, settings: FineTuneSettings, seed: int) -> None:
        """Raises InputError for a source that cannot be opened, or a hub set that is too large to hold."""
        self.settings, self.photos, self.seed, self.size = settings, data != "shapes", seed, config.image.size
        self._rows = None
        folder = Path(data).expanduser()
        if self.photos and folder.is_dir() and not written_by_datasets(folder):
            rows, self.classes = folder_rows(folder, "train")
            rows = choose_rows(rows, settings.train_count, seed)
            if len(rows) * self._bytes > MEMORY:
                self._rows, self.count = rows, len(rows)
                return
        count = settings.train_count or (None if self.photos else COUNTS["train"])
        held = self._held(example_chunks(data, config, "train", labels=(settings.label,), count=count, seed=seed), data)
        ((name, self._labels),) = held.labels.items()
        self._images, self.classes, self.count = held.inputs, held.classes[name], len(held.inputs)

    @property
    def _bytes(self) -> int:
        return 3 * self.size**2

    def batches(self, epoch: int, draws: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Pictures (B, 3, H, W) uint8 and labels (B,) of one epoch."""
        for images, labels in self._shuffled(epoch):
            yield augmented(images, self.settings, draws) if self.photos else images, labels

    def _shuffled(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        size = self.settings.batch_size
        order = torch.randperm(self.count, generator=generator(self.seed, "fine tune order", epoch))
        if self._rows is None:
            for rows in order.split(size):
                yield self._images[rows], self._labels[rows]
            return
        images, labels = torch.empty(0, 3, self.size, self.size, dtype=torch.uint8), torch.empty(0).long()
        for part in read_rows((self._rows[i] for i in order.tolist()), self.classes, self.size):
            images, labels = torch.cat([images, part.images]), torch.cat([labels, part.labels])
            while len(images) >= size:
                yield images[:size], labels[:size]
                images, labels = images[size:], labels[size:]
        if len(images):
            yield images, labels

    def _held(self, chunks: Iterator[Examples], data: str) -> Examples:
        parts, held = [], 0
        for part in chunks:
            parts.append(part)
            held += len(part.inputs) * self._bytes
            if held > MEMORY:
                raise InputError(
                    f"the pictures of '{data}' do not fit into {MEMORY >> 30} GiB: give "
                    f"fine_tune.train_count, or a folder of class folders, which is read again each epoch"
                )
        return joined_examples(parts)


def augmented(images: Tensor, settings: FineTuneSettings, draws: Generator) -> Tensor:
    """Photos (B, 3, H, W) uint8, each cropped (area `crop` to 1, sides 3:4 to 4:3) and mirrored at random."""
    found = images.clone()
    size = images.shape[-1]
    for row, image in enumerate(images):
        u = torch.rand(5, generator=draws).tolist()
        if settings.crop < 1:
            area = settings.crop + (1 - settings.crop) * u[0]
            ratio = math.exp((2 * u[1] - 1) * math.log(4 / 3) / 2)  # square root of width over height
            width, height = (max(1, min(size, round(size * math.sqrt(area) * r))) for r in (ratio, 1 / ratio))
            left, top = int(u[2] * (size - width + 1)), int(u[3] * (size - height + 1))
            cut = image[None, :, top : top + height, left : left + width].float()
            scaled = F.interpolate(cut, (size, size), mode="bilinear", antialias=True)
            found[row] = scaled[0].round().clamp(0, 255).to(torch.uint8)
        if settings.flip and u[4] < 0.5:
            found[row] = found[row].flip(-1)
    return found
