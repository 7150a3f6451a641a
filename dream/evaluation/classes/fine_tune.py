"""Fine-tuning: the whole encoder, with a linear layer on the mean of its image tokens, trained to classify.

The head and schedule behind the published figure are not published. This is the field's recipe for ViTs (BEiT, arXiv
2106.08254; MAE, arXiv 2111.06377): AdamW, a learning rate that falls with the depth below the head, a cosine with
warm-up, and label smoothing. Crops and flips apply to photos only, not to shapes and emoji. MAE's RandAugment, mixup,
cutmix and drop path are left out. The model itself is never changed: a copy of its encoder is trained, without
dropout.
"""

import copy
import math
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from dream.data.emoji.corpus import is_emoji
from dream.evaluation.classes.accuracy import accuracy, label_condition
from dream.evaluation.classes.examples import Examples, example_chunks, joined_examples
from dream.evaluation.classes.features import CHUNK
from dream.evaluation.classes.fine_tune_pictures import COUNTS, PictureRequest, TrainingPictures
from dream.evaluation.classes.probe import schedule
from dream.evaluation.classes.settings import LabelSettings
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import FROM_0, UP_TO_1
from dream.evaluation.statistics import Measure
from dream.fields import Bounds, Count, NotNegative, Positive
from dream.model.encoder import Encoder, equal_groups
from dream.model.latents import ImageTokenizer
from dream.model.pretrained import Pretrained
from dream.randomness import generator
from dream.weights.finite import require_finite

BETAS = (0.9, 0.999)
DIVERGED = "the model overflows, or the training diverged: try a smaller fine_tune.lr"
LR_DRAWN = 3e-3
"""Peak learning rate on drawn shapes and emoji, for a small model and few steps."""


@dataclass(frozen=True)
class FineTuneSettings(LabelSettings, task="fine_tune"):
    """The field's recipe with few epochs. MAE's on ImageNet: epochs 100, batch_size 1024."""

    epochs: Count = 8
    """Passes over the training pictures."""
    batch_size: Count = 64
    """Pictures per step."""
    lr: Annotated[float | None, Bounds(above=0)] = None
    """Peak learning rate of the head; none: MAE's rule, base_lr * batch_size / 256, for shapes and emoji 3e-3."""
    base_lr: Positive = 5e-4
    """Peak learning rate per 256 pictures, if `lr` is none (MAE's for ViT-B)."""
    layer_decay: Annotated[float, UP_TO_1] = 0.75
    """Factor on the learning rate for each block below the head."""
    warmup: Annotated[float, FROM_0] = 0.1
    """Fraction of the training with a rising learning rate, before it falls as a cosine."""
    weight_decay: NotNegative = 0.05
    """Decay of matrices; biases, norms, buffer and position tables have none."""
    smoothing: Annotated[float, FROM_0] = 0.1
    """Share of the label that is spread over all classes."""
    crop: Annotated[float, UP_TO_1] = 0.35
    """Smallest share of a photo's area that a random crop keeps; 1: no crops. Shapes and emoji are never cropped."""
    flip: bool = True
    """Mirror photos at random. Shapes and emoji are never mirrored."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Test accuracy of the fine-tuned classifier; `chance` is the share of the most frequent class.

        Raises InputError for a source that cannot be opened, or a label that it does not have.
        """
        classifier = fine_tuned(pretrained, data, self, seed, progress)
        count = self.test_count or (COUNTS["test"] if data == "shapes" else None)
        chunks = example_chunks(data, pretrained.config, "test", labels=(self.label,), count=count, seed=seed)
        test = joined_examples(
            Examples(classifier.logits(chunk.inputs), chunk.labels, chunk.classes)
            for chunk in chunks
            if len(chunk.inputs)
        )
        ((label, truth),) = test.labels.items()
        where = {"data": data, **label_condition(label), "lr": head_rate(data, self), "chance": test.chance(label)}
        return accuracy("fine_tune", test.inputs, truth, where)


class Classifier(nn.Module):
    """An encoder with a linear layer on the mean of its image tokens; nothing is masked."""

    def __init__(
        self, encoder: Encoder, image_tokenizer: ImageTokenizer, classes: tuple[str, ...], draws: Generator
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
        with torch.no_grad():  # a VAE stays frozen
            tokens = self.image_tokenizer.tokenize(images).to(self.head.weight.device)  # (B, N, D_tok)
        nothing = torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)  # (B, N)
        encoded = self.encoder(tokens, equal_groups(nothing)).split()[0]  # (B, R + N, D)
        return self.head(encoded[:, self.encoder.buffer_tokens :].mean(dim=1))  # (B, C)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """(B, C) on the CPU, computed CHUNK pictures at a time."""
        return torch.cat([self(chunk).float().cpu() for chunk in images.split(CHUNK)])


def fine_tuned(
    pretrained: Pretrained,
    data: str = "shapes",
    settings: FineTuneSettings = FineTuneSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> Classifier:
    """A classifier of the data's classes, trained from a copy of the model's encoder, in eval mode.

    Raises InputError if its loss is not a number at some step.
    """
    request = PictureRequest(
        data, settings.label, settings.train_count, settings.batch_size, settings.crop, settings.flip, seed
    )
    pictures = TrainingPictures(request, pretrained.config)
    draws = generator(seed, "fine tune")
    device = next(pretrained.model.parameters()).device
    encoder = copy.deepcopy(pretrained.model.encoder).requires_grad_(True)
    classifier = Classifier(encoder, pretrained.image_tokenizer, pictures.classes, draws).to(device).eval()
    optimizer = torch.optim.AdamW(parameter_groups(classifier, settings), betas=BETAS)
    peak = head_rate(data, settings)
    total, step = settings.epochs * math.ceil(pictures.count / settings.batch_size), 0
    for epoch in range(settings.epochs):
        for images, labels in pictures.batches(epoch, draws):
            for group in optimizer.param_groups:
                group["lr"] = peak * group["factor"] * schedule(step / total, settings.warmup)
            loss = F.cross_entropy(classifier(images), labels.to(device), label_smoothing=settings.smoothing)
            require_finite(loss, f"the values of the loss of fine-tuning at step {step}", DIVERGED)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
        progress((epoch + 1) / settings.epochs, f"epoch {epoch + 1} of {settings.epochs}")
    return classifier.requires_grad_(False)


def head_rate(data: str, settings: FineTuneSettings) -> float:
    """Peak learning rate of the head: `lr`, or MAE's rule, or LR_DRAWN for shapes and emoji."""
    if settings.lr is not None:
        return settings.lr
    return LR_DRAWN if data == "shapes" or is_emoji(data) else settings.base_lr * settings.batch_size / 256


def parameter_layer(name: str, depth: int) -> int:
    """Layer of a parameter: 0 the embedding, 1 the first block, `depth` + 1 the last norm and the head."""
    path = name.split(".")
    if path[:2] == ["encoder", "blocks"]:
        return int(path[2]) + 1
    return depth + 1 if path[0] == "head" or path[1] == "norm_out" else 0


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
