"""The paper's figures as data, to show next to ours where the measure is the same. The data sets always differ.

All are from arXiv 2603.02667 ("Unifying Contrastive and Generative Objectives for Visual Understanding and
Text-to-Image Generation"): models trained on CC12M with one encoder and decoder, the objective varied.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dream.evaluation.statistics import Measure

SOURCE = "arXiv 2603.02667"
MODELS = {"mar": "MAR", "fluid": "FLUID", "clip": "CLIP", "repa": "REPA", "dream": "DREAM"}
"""The paper's name per objective."""


@dataclass(frozen=True)
class Metric:
    """A measure that the paper reports, and the measure of ours that it corresponds to."""

    title: str
    data: str
    """The paper's data set."""
    task: str
    """Name of our task."""
    name: str
    """Name of our measure."""
    unit: str = "share"
    """Unit of the values here, which is ours: the paper's percentages are shares."""
    better: Literal["higher", "lower"] = "higher"
    where: tuple[tuple[str, object], ...] = ()
    """Conditions that our measure must also have."""

    def fits(self, measure: Measure) -> bool:
        """Returns whether a measure of ours is of the same kind."""
        if (measure.task, measure.name) != (self.task, self.name):
            return False
        return all(_alike(measure.where.get(key, value), value) for key, value in self.where)


@dataclass(frozen=True)
class Published:
    """One number that the paper reports."""

    metric: Metric
    model: str
    value: float
    source: str = SOURCE

    @property
    def data(self) -> str:
        """The paper's data set."""
        return self.metric.data


PROBE = Metric("linear probe", "ImageNet-1K", "probe", "accuracy", where=(("form", "lars"),))
FINE_TUNE = Metric("fine-tuned", "ImageNet-1K", "fine_tune", "accuracy")
FEW_SHOT = Metric("5-way 5-shot", "mean of 14 sets", "few_shot", "accuracy")
SEGMENTATION = Metric("segmentation mIoU", "ADE20K", "segmentation", "mIoU")
DEPTH = Metric("depth RMSE", "NYUv2, metres", "depth", "RMSE", "m", "lower")
FID = Metric("FID", "CC12M", "generation", "FID", "FID", "lower")
CLIP_SCORE = Metric("CLIP score", "CC12M", "generation", "CLIP score", "100 x cosine")
METRICS = (PROBE, FINE_TUNE, FEW_SHOT, SEGMENTATION, DEPTH, FID, CLIP_SCORE)
"""The columns of the paper's comparison of objectives."""

_TABLE: dict[str, tuple[float | None, ...]] = {
    "mar": (0.507, 0.804, 0.591, 0.234, 0.75, None, None),
    "fluid": (0.481, 0.803, 0.601, 0.221, 0.76, 4.53, 30.0),
    "clip": (0.716, 0.811, 0.860, 0.349, 0.64, None, None),
    "repa": (0.625, 0.817, 0.717, 0.327, 0.60, 4.42, 29.9),
    "dream": (0.727, 0.827, 0.901, 0.368, 0.60, 4.25, 30.1),
}
"""Values by objective, in the order of METRICS."""

ROBUSTNESS = {"ImageNet-A": 0.328, "ImageNet-R": 0.553, "ImageNet-Sketch": 0.420}
"""Accuracy of the fine-tuned DREAM on sets other than the one it was tuned on."""

PUBLISHED: tuple[Published, ...] = tuple(
    Published(metric, MODELS[objective], value)
    for objective, row in _TABLE.items()
    for metric, value in zip(METRICS, row, strict=True)
    if value is not None
) + tuple(
    Published(Metric("robustness", name, "robustness", "accuracy", where=(("shift", name),)), "DREAM", value)
    for name, value in ROBUSTNESS.items()
)


def metric_of(measure: Measure) -> Metric | None:
    """Returns the paper's metric for a measure of ours, or None."""
    return next((p.metric for p in PUBLISHED if p.metric.fits(measure)), None)


def published_for(measure: Measure, objectives: Sequence[str] = ()) -> list[Published]:
    """Returns the paper's figures for a measure, of models of these objectives; of DREAM if it has none of them."""
    metric = metric_of(measure)
    wanted = [MODELS[o] for o in dict.fromkeys(objectives) if o in MODELS]
    mine = [p for p in PUBLISHED if p.metric == metric]
    return [p for name in wanted for p in mine if p.model == name] or [p for p in mine if p.model == "DREAM"]


def _alike(found: object, wanted: object) -> bool:
    """Returns whether both are equal apart from letter case."""
    return str(found).casefold() == str(wanted).casefold()
