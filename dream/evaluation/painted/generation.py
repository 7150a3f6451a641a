"""Generation: how far are painted pictures from real ones, and do they show what their captions say?

Held-out pictures are cut in two. The captions of one half are painted and compared with the other half's
pictures; the first half's own pictures, compared in the same way, are what a perfect model would have
painted. Both comparisons have the same sizes and captions, so that the bias of the Frechet distance, large
with few pictures, is the same in both.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.data.batch import Batch
from dream.decoding.paint import paint
from dream.errors import InputError
from dream.evaluation.classes.features import caption_features, picture_features
from dream.evaluation.held_out import held_out_pictures, part
from dream.evaluation.limits import at_least
from dream.evaluation.painted.encoders import JUDGE, OWN, ClipScorer, Encoder, open_encoder
from dream.evaluation.painted.frechet import frechet_estimate, inception_scores, overlap
from dream.evaluation.painted.inception import Seen, load_inception
from dream.evaluation.painted.painting import decode_settings_of
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Measure, bootstrap, mean, share
from dream.randomness import generator, seed_of

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

REAL = "real pictures: "
"""Beginning of the names of what a perfect model would reach."""
SPLITS = 10
"""Parts of the Inception Score."""
PAINTED_SHARE = 0.8
"""About how much of the time painting takes."""


@dataclass(frozen=True)
class GenerationSettings:
    """What the task `generation` paints, and what looks at it. Paths are local; nothing is downloaded."""

    count: int = 500
    """Pictures painted, and as many real ones on either side; half of what there is where that is less."""
    batch: int = 128
    """Pictures painted at once; at most half of them, so that the speed has an interval."""
    split: str | None = None
    """Split of the data; none takes `test` of shapes and `val` of other data."""
    inception: str | None = None
    """Weights file of the FID Inception (.pth or .safetensors), for FID and Inception Score."""
    encoder: str | None = None
    """`judge` (drawn shapes), `own` (the model's own: not comparable between models) or `timm:NAME`; none:
    no other where there is an Inception, else `judge` for shapes and `own` for other data."""
    encoder_weights: str | None = None
    """Weights file of the timm encoder; none asks timm for its pretrained ones."""
    clip: str | None = None
    """Folder of a Hugging Face CLIP, for the CLIP score."""
    neighbours: int = 3
    """k of precision, recall, density and coverage (3 is that of precision and recall's authors)."""

    def __post_init__(self) -> None:
        at_least("generation", self, count=2, batch=1, neighbours=1)


@dataclass(frozen=True)
class _Pictures:
    """The three sets, equally many pictures each."""

    painted: Tensor
    """(n, 3, H, W) uint8: the captions of `asked`."""
    asked: Batch
    """Real pictures with those captions."""
    others: Batch
    """Real pictures that both are compared with."""
    times: NDArray[np.float64]
    """(batches, 2): pictures painted, and seconds that it took."""


@dataclass(frozen=True)
class _Eyes:
    """What looks at the pictures."""

    inception: Any = None
    encoder: Encoder | None = None
    name: str = ""
    """Of the encoder."""
    clip: ClipScorer | None = None


def generation(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    settings: GenerationSettings = GenerationSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Measure]:
    """Distances of painted pictures from real ones, how far they show their captions, and painting's speed.

    Under the Inception: FID and Inception Score; under an encoder: Frechet distance; under either: precision,
    recall, density, coverage. Alignment is the cosine in the model's own joint space, if it was trained.
    Painting is with the model's own settings. Raises InputError for weights or encoders that cannot be had,
    and for data with too few pictures.
    """
    eyes = _eyes(pretrained, data, settings)
    pictures = _pictures(pretrained, data, settings, seed, progress)
    progress(PAINTED_SHARE, f"comparing {len(pictures.painted):,} pictures")
    where = {"data": data, "pictures": len(pictures.painted)}
    found = _inception_measures(eyes, pictures, settings.neighbours, where, seed) if eyes.inception else []
    if eyes.encoder is not None:
        sets = [eyes.encoder(images) for images in _images(pictures)]
        at = {**where, "encoder": eyes.name}
        found += _distances("Frechet distance", sets, settings.neighbours, at, seed)
    found += _caption_measures(pretrained, eyes, pictures, where, seed)
    speed = bootstrap(pictures.times, lambda s: s[..., 0] / s[..., 1], _draws(seed, "speed"))
    on = {"data": data, "batch": int(pictures.times[0, 0]), "device": next(pretrained.model.parameters()).device.type}
    return [*found, Measure("generation", "pictures painted a second", on, speed)]


def _eyes(pretrained: "Pretrained", data: str, settings: GenerationSettings) -> _Eyes:
    name = settings.encoder
    if name is None and settings.inception is None:
        name = JUDGE if data == "shapes" else OWN
    if name == JUDGE and data != "shapes":
        raise InputError(f"generation.encoder=judge knows drawn shapes only, not '{data}': use own or timm:NAME")
    device = next(pretrained.model.parameters()).device
    return _Eyes(
        load_inception(settings.inception).to(device) if settings.inception else None,
        open_encoder(name, pretrained, settings.encoder_weights) if name else None,
        name or "",
        ClipScorer(settings.clip, device) if settings.clip else None,
    )


def _pictures(
    pretrained: "Pretrained", data: str, settings: GenerationSettings, seed: int, progress: Progress
) -> _Pictures:
    least = 2 * (settings.neighbours + 1)  # k neighbours beside the picture itself, in either half
    batch = held_out_pictures(
        "generation", data, pretrained.config, 2 * settings.count, split=settings.split, least=least
    )
    count = len(batch) // 2
    asked, others = part(batch, range(count)), part(batch, range(count, 2 * count))
    # a model trained without text reads the empty caption always
    prompts = asked.captions if pretrained.config.objective.text else ("",) * count
    painted, times = _painted(pretrained, prompts, min(settings.batch, -(-count // 2)), seed, progress)
    return _Pictures(painted, asked, others, times)


def _painted(
    pretrained: "Pretrained", prompts: Sequence[str], batch: int, seed: int, progress: Progress
) -> tuple[Tensor, NDArray[np.float64]]:
    decode, parts, times = decode_settings_of(pretrained.config, seed_of(seed, "generation")), [], []
    for first in range(0, len(prompts), batch):
        progress(PAINTED_SHARE * first / len(prompts), f"painting {len(prompts):,} pictures")
        some, start = prompts[first : first + batch], time.perf_counter()
        images = paint(pretrained, some, decode, picture_ids=range(first, first + len(some)))
        parts.append(images.cpu())
        times.append((len(some), time.perf_counter() - start))
    return torch.cat(parts), np.array(times)


def _images(pictures: _Pictures) -> tuple[Tensor, Tensor, Tensor]:
    return pictures.painted, pictures.asked.images, pictures.others.images


def _inception_measures(eyes: _Eyes, pictures: _Pictures, k: int, where: dict[str, Any], seed: int) -> list[Measure]:
    seen: list[Seen] = [eyes.inception.look(images) for images in _images(pictures)]
    at = {**where, "encoder": "inception"}
    found = _distances("FID", [each.features for each in seen], k, at, seed)
    for name, each in zip(("", REAL), seen, strict=False):
        scores = inception_scores(each.probabilities.numpy(), SPLITS)
        score = mean(scores, _draws(seed, "inception score"))
        found.append(Measure("generation", f"{name}Inception Score", {**where, "splits": len(scores)}, score))
    return found


def _distances(distance: str, sets: Sequence[Tensor], k: int, where: dict[str, Any], seed: int) -> list[Measure]:
    """Of painted pictures and of `asked` from `others`, of features (n, D) of each."""
    *compared, others = (features.double().numpy() for features in sets)
    found = []
    for name, features in zip(("", REAL), compared, strict=True):
        found.append(Measure("generation", name + distance, where, frechet_estimate(features, others)))
        seen, at = overlap(others, features, k), {**where, "neighbours": k}
        found += [
            Measure("generation", f"{name}precision", at, share(seen.precision)),
            Measure("generation", f"{name}recall", at, share(seen.recall)),
            Measure("generation", f"{name}density", at, mean(seen.density, _draws(seed, "density"))),
            Measure("generation", f"{name}coverage", at, share(seen.coverage)),
        ]
    return found


def _caption_measures(
    pretrained: "Pretrained", eyes: _Eyes, pictures: _Pictures, where: dict[str, Any], seed: int
) -> list[Measure]:
    """Painted and real pictures with the captions that were painted."""
    captions, found = pictures.asked.captions, []
    for name, images in (("", pictures.painted), (REAL, pictures.asked.images)):
        if eyes.clip is not None:
            scores = eyes.clip.scores(images, captions).numpy()
            found.append(Measure("generation", f"{name}CLIP score", where, mean(scores, _draws(seed, "clip"))))
        if pretrained.config.objective.contrastive_weight > 0:
            bare = picture_features(pretrained, images, 0.0, generator(seed, "generation"))
            cosines = (bare * caption_features(pretrained, captions)).sum(1).numpy()
            estimate = mean(cosines, _draws(seed, "alignment"))
            found.append(Measure("generation", f"{name}alignment with the caption", where, estimate))
    return found


def _draws(seed: int, what: str) -> np.random.Generator:
    return np.random.default_rng(seed_of(seed, "generation intervals", what))
