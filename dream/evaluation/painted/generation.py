"""Generation: distance of painted pictures from real ones, and how well they show their captions.

Held-out pictures are split into halves. The captions of one half are painted and compared with the other half's
pictures. The first half's own pictures, compared in the same way, show what a perfect model would reach. Both
comparisons have the same sizes and captions, so the bias of the Frechet distance, large for few pictures, is equal.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.data.batch import Batch
from dream.decoding.paint import paint
from dream.decoding.settings import DecodeSettings
from dream.evaluation.classes.features import caption_features, picture_features
from dream.evaluation.held_out import held_out_pictures, part
from dream.evaluation.intervals import Z95
from dream.evaluation.judging.worlds import judge_of
from dream.evaluation.painted.encoders import JUDGE, OWN, ClipScorer, PictureEncoder, open_encoder
from dream.evaluation.painted.frechet import frechet_estimate, inception_scores, overlap
from dream.evaluation.painted.inception import Inception, load_inception
from dream.evaluation.painted.painting import decode_settings_of
from dream.evaluation.pieces import in_pieces, row_batches
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import HeldOutSettings, PaintingSettings, at_least
from dream.evaluation.statistics import Estimate, Measure, mean, mean_of_averages, rate, two_set_mean, two_set_share
from dream.fields import Count
from dream.model.pretrained import Pretrained
from dream.randomness import generator, seed_of

REAL = "real pictures: "
"""Prefix of the measures that a perfect model would reach."""
SPLITS = 10
"""Parts of the Inception Score."""
SHUFFLE = 2020
"""Seed of the order in which pictures are split for the Inception Score, as in torch-fidelity."""
PAINTED_SHARE = 0.8
"""Approximate share of the time that painting takes."""


@dataclass(frozen=True)
class GenerationSettings(PaintingSettings, HeldOutSettings, task="generation"):
    """How much to paint, and the networks that compare it. Paths are local; with a path nothing is downloaded."""

    count: Annotated[int, at_least(2)] = 500
    """Pictures to paint, and real pictures on each side; capped at half of the available ones."""
    batch: Count = 128
    """Pictures painted at once, capped at half of them, so that the speed has an interval."""
    inception: str | None = None
    """Weights file of the FID Inception (.pth or .safetensors), for FID and Inception Score."""
    encoder: str | None = None
    """`judge` (of shapes or emoji), `own` (the model's own: not comparable between models) or `timm:NAME`; none: no
    other encoder if there is an Inception, otherwise `judge` for data that have one and `own` for other data.
    """
    encoder_weights: str | None = None
    """Weights file of the timm encoder; none: timm's pretrained weights."""
    clip: str | None = None
    """Folder of a Hugging Face CLIP, for the CLIP score."""
    neighbours: Count = 3
    """k of precision, recall, density and coverage (the authors of precision and recall use 3)."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Distances of painted pictures from real ones, their agreement with the captions, and the speed of painting.

        With the Inception: FID and Inception Score; with an encoder: Frechet distance; with either: precision, recall,
        density and coverage. Alignment is the cosine in the model's own joint space, if it has one. The model paints
        with its own settings unless told otherwise. Raises InputError for unavailable weights or encoders, and for too
        few pictures.
        """
        networks = _networks(pretrained, data, self)
        asked, others = _real(pretrained, data, self)
        batch = min(self.batch, -(-len(asked) // 2))
        decode = decode_settings_of(pretrained.config, seed_of(seed, "generation"), **self.otherwise)
        painted = _painted(pretrained, networks, asked, batch, decode, progress)
        progress(PAINTED_SHARE, f"comparing {len(asked):,} pictures")
        sets = [painted, *(_seen(pretrained, networks, real, batch) for real in (asked, others))]
        where = {"data": data, "pictures": len(asked), **self.otherwise}
        measures = []
        if networks.inception is not None:
            measures += _inception_measures(sets, self.neighbours, where)
        if networks.encoder is not None:
            at = {**where, "encoder": networks.encoder_name}
            measures += _distances("Frechet distance", [seen[ENCODED] for seen in sets], self.neighbours, at)
        measures += _caption_measures(sets, where)
        return [*measures, *self.said_in([_speed(pretrained, painted[TIMES].numpy(), data)])]


ENCODED, INCEPTION, CLASSES, CLIP, ALIGNMENT, TIMES = "encoded", "inception", "classes", "clip", "alignment", "times"
"""Names of what is kept of pictures: features (n, D) of the encoder and of the Inception, its class probabilities
(n, C), CLIP scores and alignments (n,) with the captions, and of painted ones (batches, 2) pictures and seconds.
"""


@dataclass(frozen=True)
class _Networks:
    """Networks that pictures are compared with."""

    inception: Inception | None = None
    encoder: PictureEncoder | None = None
    encoder_name: str = ""
    clip: ClipScorer | None = None


def _networks(pretrained: Pretrained, data: str, settings: GenerationSettings) -> _Networks:
    name = settings.encoder
    if name is None and settings.inception is None:
        name = JUDGE if judge_of(data) else OWN
    device = next(pretrained.model.parameters()).device
    return _Networks(
        load_inception(settings.inception).to(device) if settings.inception else None,
        open_encoder(name, pretrained, settings.encoder_weights, data) if name else None,
        name or "",
        ClipScorer(settings.clip, device) if settings.clip else None,
    )


def _real(pretrained: Pretrained, data: str, settings: GenerationSettings) -> tuple[Batch, Batch]:
    """Real pictures whose captions are painted, and those that both are compared with."""
    least = 2 * (settings.neighbours + 1)  # k neighbours and the picture itself, in each half
    batch = held_out_pictures(
        "generation", data, pretrained.config, 2 * settings.count, split=settings.split, least=least
    )
    count = len(batch) // 2
    return part(batch, range(count)), part(batch, range(count, 2 * count))


def _painted(
    pretrained: Pretrained, networks: _Networks, asked: Batch, batch: int, decode: DecodeSettings, progress: Progress
) -> dict[str, Tensor]:
    """What is seen in pictures painted from the captions of `asked`, and the times of painting."""
    # a model trained without text always reads the empty caption
    prompts = asked.captions if pretrained.config.objective.text else ("",) * len(asked)

    def painted(rows: range) -> dict[str, Tensor]:
        progress(PAINTED_SHARE * rows.start / len(prompts), f"painting {len(prompts):,} pictures")
        own, start = prompts[rows.start : rows.stop], time.perf_counter()
        images = paint(pretrained, own, decode, picture_ids=rows).cpu()
        times = torch.tensor([[len(own), time.perf_counter() - start]], dtype=torch.float64)
        return {**_look(pretrained, networks, images, asked.captions[rows.start : rows.stop]), TIMES: times}

    return _joined(in_pieces(row_batches(len(prompts), batch), painted))


def _seen(pretrained: Pretrained, networks: _Networks, real: Batch, batch: int) -> dict[str, Tensor]:
    """What is seen in real pictures."""

    def seen(rows: range) -> dict[str, Tensor]:
        own = part(real, rows)
        return _look(pretrained, networks, own.images, own.captions)

    return _joined(in_pieces(row_batches(len(real), batch), seen))


def _look(pretrained: Pretrained, networks: _Networks, images: Tensor, captions: Sequence[str]) -> dict[str, Tensor]:
    """What all networks see in a batch of pictures (n, 3, H, W) uint8 with their captions."""
    seen: dict[str, Tensor] = {}
    if networks.inception is not None:
        output = networks.inception.outputs(images)
        seen |= {INCEPTION: output.features, CLASSES: output.probabilities}
    if networks.encoder is not None:
        seen[ENCODED] = networks.encoder(images)
    if networks.clip is not None:
        seen[CLIP] = networks.clip.scores(images, captions)
    if pretrained.config.objective.contrastive_weight > 0:
        unmasked = picture_features(pretrained, images, 0.0, generator("nothing is masked"))
        seen[ALIGNMENT] = (unmasked * caption_features(pretrained, captions)).sum(1)
    return seen


def _joined(pieces: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}


def _speed(pretrained: Pretrained, times: NDArray[np.float64], data: str) -> Measure:
    device = next(pretrained.model.parameters()).device.type
    where = {"data": data, "batch": int(times[0, 0]), "device": device}
    return Measure("generation", "pictures painted a second", where, rate(times))


def _inception_measures(sets: Sequence[Mapping[str, Tensor]], k: int, where: dict[str, Any]) -> list[Measure]:
    at = {**where, "encoder": "inception"}
    measures = _distances("FID", [seen[INCEPTION] for seen in sets], k, at)
    for name, seen in zip(("", REAL), sets, strict=False):
        measures += _inception_score(name, seen[CLASSES], where)
    return measures


def _inception_score(name: str, probabilities: Tensor, where: dict[str, Any]) -> list[Measure]:
    """The score of class probabilities (n, C) as torch-fidelity has it: mean and spread over splits, shuffled first.

    Without the shuffle, splits of pictures with alike captions would lower the score. The spread is the published "+-":
    the standard deviation over the splits, which is no interval of their mean.
    """
    order = np.random.RandomState(SHUFFLE).permutation(len(probabilities))  # the legacy generator, for the same order
    scores = inception_scores(probabilities.numpy()[order], SPLITS)
    at = {**where, "splits": len(scores), "shuffled": SHUFFLE}
    measures = [Measure("generation", f"{name}Inception Score", at, mean_of_averages(scores, "splits"))]
    if len(scores) > 2:
        name = f"{name}Inception Score, standard deviation over splits"
        measures.append(Measure("generation", name, at, _spread(scores)))
    return measures


def _spread(values: NDArray[np.float64]) -> Estimate:
    """Standard deviation of 3 or more values (over n, as numpy has it), with the interval of a normal distribution's.

    Quantiles of chi-square by Wilson and Hilferty (1931), within 2 % for 10 values and wide for fewer.
    """
    count, freedom = len(values), len(values) - 1
    quantiles = (freedom * (1 - 2 / (9 * freedom) + z * math.sqrt(2 / (9 * freedom))) ** 3 for z in (Z95, -Z95))
    low, high = (float(values.std()) * math.sqrt(count / quantile) for quantile in quantiles)
    return Estimate(float(values.std()), low, high, count, "spread", "splits")


def _distances(distance: str, sets: Sequence[Tensor], k: int, where: dict[str, Any]) -> list[Measure]:
    """Distances of the painted pictures, and of `asked`, from `others`; `sets` holds features (n, D) of each."""
    *compared, others = (features.double().numpy() for features in sets)
    measures = []
    for name, features in zip(("", REAL), compared, strict=True):
        measures.append(Measure("generation", name + distance, where, frechet_estimate(features, others)))
        flags, at = overlap(others, features, k), {**where, "neighbours": k}
        measures += [
            Measure("generation", f"{name}precision", at, two_set_share(flags.precision, flags.moves.precision)),
            Measure("generation", f"{name}recall", at, two_set_share(flags.recall, flags.moves.recall)),
            Measure("generation", f"{name}density", at, two_set_mean(flags.density, flags.moves.density)),
            Measure("generation", f"{name}coverage", at, two_set_share(flags.coverage, flags.moves.coverage)),
        ]
    return measures


def _caption_measures(sets: Sequence[Mapping[str, Tensor]], where: dict[str, Any]) -> list[Measure]:
    """Agreement of painted and real pictures with the captions that were painted."""
    measures = []
    for name, seen in zip(("", REAL), sets, strict=False):
        if CLIP in seen:
            measures.append(Measure("generation", f"{name}CLIP score", where, mean(seen[CLIP].numpy())))
        if ALIGNMENT in seen:
            estimate = mean(seen[ALIGNMENT].numpy(), least=-1, most=1)
            measures.append(Measure("generation", f"{name}alignment with the caption", where, estimate))
    return measures
