"""Robustness: a classifier trained on one set, tested on sets that differ from it.

For stored sets these are ImageNet-A, -R, -Sketch and ObjectNet, or any with classes of the same names (see
`shifted_sets`); for drawn shapes, pictures never trained, worn, noisy, blurred or hollow (`drawn_shifts`).
Beside each stands the accuracy on the unshifted test pictures of the same classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dream.errors import InputError
from dream.evaluation.classes.drawn_shifts import drawn_shifts
from dream.evaluation.classes.examples import STORED, Examples, example_chunks, featured, joined_examples
from dream.evaluation.classes.features import check_pooling, encoder_features
from dream.evaluation.classes.fine_tune import FineTuneSettings, fine_tuned
from dream.evaluation.classes.pictures import scene_labels
from dream.evaluation.classes.probe import FORMS, ProbeSettings, fit
from dream.evaluation.classes.shifted_sets import Answers, ShiftedSet, open_shifted
from dream.evaluation.limits import at_least
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Measure, share

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

CLASSIFIERS = (*FORMS, "fine_tuned")
RECIPE = FineTuneSettings()


@dataclass(frozen=True)
class RobustnessSettings:
    """What is trained, and what it is tested on."""

    shifted: tuple[str, ...] = ()
    """Folders (ImageNet-A, -R, -Sketch, ObjectNet, any class folders) or hub sets; shapes need none."""
    classifier: str = "logistic"
    """logistic or lars (linear probes), or fine_tuned (published)."""
    pooling: str = "image"
    """What of the encoder a probe reads: image (mean of its tokens), buffer, all, or joint."""
    label: str = "shape"
    """What is told apart (shapes only); of several things the first counts."""
    names: str | None = None
    """File of class names, JSON {wnid: name} or lines 'wnid name' (ObjectNet only)."""
    train_count: int | None = None
    """Training pictures; none: all (3,000 drawn ones)."""
    test_count: int | None = None
    """Test pictures a set; none: all (1,000 drawn ones)."""


class Trained(NamedTuple):
    """A classifier of pictures."""

    logits: Callable[[Tensor], Tensor]
    """(B, 3, H, W) uint8 -> (B, C)."""
    classes: tuple[str, ...]


def robustness(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    settings: RobustnessSettings = RobustnessSettings(),
    recipe: FineTuneSettings = RECIPE,
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Measure]:
    """Accuracy on each shifted set, with that of a constant answer as `chance`, and unshifted beside it.

    `recipe` is that of the classifier `fine_tuned`. Raises InputError for bad settings, a source that cannot
    be opened, a shifted set without shared classes, or stored data without shifted sets.
    """
    check(pretrained, data, settings)
    trained = classifier(pretrained, data, settings, recipe, seed, progress)
    where: dict[str, object] = {"data": data, "classifier": settings.classifier}
    if data == "shapes":
        return _on_shapes(pretrained, trained, settings, seed, {**where, "label": settings.label})
    size = pretrained.config.image.size
    sets = [
        open_shifted(s, trained.classes, size, names=settings.names, limit=settings.test_count, seed=seed)
        for s in settings.shifted
    ]
    plain = joined_examples(
        Examples(trained.logits(part.inputs), part.labels, part.classes)
        for part in example_chunks(data, pretrained.config, "test", labels=(), count=settings.test_count, seed=seed)
        if len(part.inputs)
    )
    measures = []
    for number, shifted in enumerate(sets):
        progress(number / len(sets), shifted.name)
        measures += _shifted_measures(trained, plain, shifted, where)
    return measures


def check(pretrained: "Pretrained", data: str, settings: RobustnessSettings) -> None:
    """Raises InputError for settings out of range."""
    at_least("robustness", settings, train_count=2, test_count=1)
    check_pooling(pretrained, settings.pooling)
    if settings.classifier not in CLASSIFIERS:
        raise InputError(f"robustness.classifier must be one of {', '.join(CLASSIFIERS)}, got '{settings.classifier}'")
    if data != "shapes" and not settings.shifted:
        raise InputError(f"robustness on '{data}' needs sets that differ from it: --set robustness.shifted=PATH,PATH")
    if data == "shapes" and settings.shifted:
        raise InputError("robustness.shifted is for stored sets: shapes have shifts of their own")
    for source in settings.shifted:
        if not source.startswith("hf:") and not Path(source).expanduser().is_dir():
            raise InputError(f"there is no folder '{source}': robustness.shifted takes folders and hub sets")


def classifier(
    pretrained: "Pretrained",
    data: str,
    settings: RobustnessSettings,
    recipe: FineTuneSettings = RECIPE,
    seed: int = 0,
    progress: Progress = quiet,
) -> Trained:
    """The classifier that the settings name, trained on the data's training split."""
    if settings.classifier == "fine_tuned":
        recipe = replace(recipe, label=settings.label)
        if settings.train_count is not None:
            recipe = replace(recipe, train_count=settings.train_count)
        tuned = fine_tuned(pretrained, data, recipe, seed, progress)
        return Trained(tuned.logits, tuned.classes)
    chunks = example_chunks(
        data, pretrained.config, "train", labels=(settings.label,), count=settings.train_count, seed=seed
    )
    train = featured(pretrained, chunks, settings.pooling)
    label = next(iter(train.labels))
    device = next(pretrained.model.parameters()).device
    probe = fit(train, label, settings.classifier, ProbeSettings(), seed, device)

    def logits(images: Tensor) -> Tensor:
        return probe.logits(encoder_features(pretrained, images, settings.pooling))

    return Trained(logits, train.classes[label])


def hits(logits: Tensor, labels: Tensor, answers: Answers) -> np.ndarray:
    """(B,) bool: whether the greatest of the shared classes' logits (B, C) is an answer of the label (B,)."""
    shared = torch.tensor(sorted({number for numbers in answers for number in numbers}))
    given = shared[logits[:, shared].argmax(dim=1)]
    return np.array([g in answers[label] for g, label in zip(given.tolist(), labels.tolist(), strict=True)])


def constant_answer(labels: Tensor, answers: Answers) -> float:
    """The greatest share of the labels (B,) that one answer can be right for."""
    counts = labels.bincount(minlength=len(answers)).tolist()
    shared = {number for numbers in answers for number in numbers}
    right = (sum(n for n, some in zip(counts, answers, strict=True) if number in some) for number in shared)
    return round(max(right) / max(1, len(labels)), 4)


def _on_shapes(
    pretrained: "Pretrained", trained: Trained, settings: RobustnessSettings, seed: int, where: dict[str, object]
) -> list[Measure]:
    level, answers = pretrained.config.data.level, _own(len(trained.classes))
    measures = []
    for name, images, scenes in drawn_shifts(pretrained.config, settings.test_count or 1000, seed):
        labels = scene_labels(scenes, settings.label, level)
        at = {**where, "shift": name, "chance": constant_answer(labels, answers)}
        right = hits(trained.logits(images), labels, answers)
        measures.append(Measure("robustness", "accuracy", at, share(right)))
    return measures


def _shifted_measures(
    trained: Trained, plain: Examples, shifted: ShiftedSet, where: dict[str, object]
) -> list[Measure]:
    """Accuracy on a shifted set, and on the plain test pictures (their logits) of the same classes."""
    shown = [(trained.logits(part.images), part.labels) for part in shifted.chunks if len(part)]
    if not shown:
        raise InputError(f"'{shifted.name}' has no picture of a shared class that can be read")
    logits, labels = (torch.cat(parts) for parts in zip(*shown, strict=True))
    own: Answers = tuple((n,) if n in shifted.shared else () for n in range(len(trained.classes)))
    there = torch.isin(plain.labels[STORED], torch.tensor(shifted.shared))
    found = (
        ("accuracy", logits, labels, shifted.answers),
        ("accuracy unshifted", plain.inputs[there], plain.labels[STORED][there], own),
    )
    at = {**where, "shift": shifted.name, "classes": len(shifted.shared)}
    return [
        Measure(
            "robustness", name, {**at, "chance": constant_answer(truth, answers)}, share(hits(given, truth, answers))
        )
        for name, given, truth, answers in found
    ]


def _own(classes: int) -> Answers:
    return tuple((number,) for number in range(classes))
