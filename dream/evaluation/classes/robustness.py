"""Robustness: accuracy of a classifier on pictures that differ from those it was trained on.

For stored sets these are ImageNet-A, -R, -Sketch and ObjectNet, or any set with classes of the same names
(`shifted_sets`). For drawn shapes they are combinations never trained, and worn, noisy, blurred or hollow pictures
(`drawn_shifts`). Next to each is the accuracy on the unshifted test pictures of the same classes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dream.errors import InputError
from dream.evaluation.classes.drawn_labels import scene_labels
from dream.evaluation.classes.drawn_shifts import drawn_shifts
from dream.evaluation.classes.examples import STORED, Examples, example_chunks, featured, joined_examples
from dream.evaluation.classes.features import check_pooling, encoder_features
from dream.evaluation.classes.fine_tune import FineTuneSettings, fine_tuned
from dream.evaluation.classes.probe import ProbeSettings, fit
from dream.evaluation.classes.settings import LabelSettings, Pooling
from dream.evaluation.classes.shifted_sets import Answers, ShiftedSet, open_shifted
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Measure, share
from dream.model.pretrained import Pretrained
from dream.weights.finite import require_logits

RECIPE = FineTuneSettings()
"""Recipe of the classifier `fine_tuned`."""


@dataclass(frozen=True)
class RobustnessSettings(LabelSettings, task="robustness"):
    """The classifier, and the sets that it is tested on."""

    shifted: tuple[str, ...] = ()
    """Folders (ImageNet-A, -R, -Sketch, ObjectNet, any class folders) or hub sets; shapes need none."""
    classifier: Literal["logistic", "lars", "fine_tuned"] = "logistic"
    """logistic or lars (linear probes), or fine_tuned (published)."""
    pooling: Pooling = "image"
    """Feature that a probe classifies: image (mean of its tokens), buffer, all, or joint (the joint space)."""
    names: str | None = None
    """File of class names, JSON {wnid: name} or lines 'wnid name' (ObjectNet only)."""

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Accuracy on each shifted set and unshifted; `chance` is the accuracy of the best constant answer.

        Raises InputError for a source that cannot be opened, a shifted set without shared classes, and stored data
        without shifted sets.
        """
        self._check_fit(pretrained, data)
        trained = classifier(pretrained, data, self, seed, progress)
        where: dict[str, object] = {"data": data, "classifier": self.classifier}
        if data == "shapes":
            return _on_shapes(pretrained, trained, self, seed, {**where, "label": self.label})
        size = pretrained.config.image.size
        sets = [
            open_shifted(source, trained.classes, size, names=self.names, limit=self.test_count, seed=seed)
            for source in self.shifted
        ]
        plain = joined_examples(
            Examples(trained.logits(chunk.inputs), chunk.labels, chunk.classes)
            for chunk in example_chunks(data, pretrained.config, "test", labels=(), count=self.test_count, seed=seed)
            if len(chunk.inputs)
        )
        measures = []
        for number, shifted in enumerate(sets):
            progress(number / len(sets), shifted.name)
            measures += _shifted_measures(trained, plain, shifted, where)
        return measures

    def _check_fit(self, pretrained: Pretrained, data: str) -> None:
        """Raises InputError if the settings do not fit the model or the data."""
        check_pooling(pretrained, self.pooling)
        if data != "shapes" and not self.shifted:
            raise InputError(
                f"robustness on '{data}' needs sets that differ from it: --set robustness.shifted=PATH,PATH"
            )
        if data == "shapes" and self.shifted:
            raise InputError("robustness.shifted is for stored sets: shapes have shifts of their own")
        for source in self.shifted:
            if not source.startswith("hf:") and not Path(source).expanduser().is_dir():
                raise InputError(f"there is no folder '{source}': robustness.shifted takes folders and hub sets")


class Trained(NamedTuple):
    """A trained classifier of pictures."""

    logits: Callable[[Tensor], Tensor]
    """(B, 3, H, W) uint8 -> (B, C)."""
    classes: tuple[str, ...]


def classifier(
    pretrained: Pretrained, data: str, settings: RobustnessSettings, seed: int = 0, progress: Progress = quiet
) -> Trained:
    """The classifier that the settings name, trained on the data's training split."""
    if settings.classifier == "fine_tuned":
        recipe = replace(RECIPE, label=settings.label)
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
    """(B,) bool: whether the greatest logit (B, C) among the shared classes is a right answer for the label (B,).

    Raises InputError for logits that are NaN or plus infinity.
    """
    require_logits(logits, "the logits of 'robustness'")
    shared = torch.tensor(sorted({number for numbers in answers for number in numbers}))
    predicted = shared[logits[:, shared].argmax(dim=1)]
    return np.array([p in answers[label] for p, label in zip(predicted.tolist(), labels.tolist(), strict=True)])


def constant_answer(labels: Tensor, answers: Answers) -> float:
    """Accuracy of the best constant answer on the labels (B,)."""
    counts = labels.bincount(minlength=len(answers)).tolist()
    shared = {number for numbers in answers for number in numbers}
    right = (sum(n for n, numbers in zip(counts, answers, strict=True) if number in numbers) for number in shared)
    return round(max(right) / max(1, len(labels)), 4)


def _on_shapes(
    pretrained: Pretrained, trained: Trained, settings: RobustnessSettings, seed: int, where: dict[str, object]
) -> list[Measure]:
    """Accuracy on each drawn shift."""
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
    """Accuracy on a shifted set, and on the unshifted test pictures (`plain` holds their logits) of its classes."""
    predictions = [(trained.logits(chunk.images), chunk.labels) for chunk in shifted.chunks if len(chunk)]
    if not predictions:
        raise InputError(f"'{shifted.name}' has no picture of a shared class that can be read")
    logits, labels = (torch.cat(parts) for parts in zip(*predictions, strict=True))
    own: Answers = tuple((n,) if n in shifted.shared else () for n in range(len(trained.classes)))
    same_classes = torch.isin(plain.labels[STORED], torch.tensor(shifted.shared))
    rows = (
        ("accuracy", logits, labels, shifted.answers),
        ("accuracy unshifted", plain.inputs[same_classes], plain.labels[STORED][same_classes], own),
    )
    at = {**where, "shift": shifted.name, "classes": len(shifted.shared)}
    return [
        Measure(
            "robustness", name, {**at, "chance": constant_answer(truth, answers)}, share(hits(scores, truth, answers))
        )
        for name, scores, truth, answers in rows
    ]


def _own(classes: int) -> Answers:
    return tuple((number,) for number in range(classes))
