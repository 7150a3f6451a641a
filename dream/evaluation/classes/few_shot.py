"""Few-shot classification with frozen features: LGSSL's protocol (arXiv 2302.12066), which is SimpleShot's.

An episode draws some classes, a few labelled pictures of each from the training split (the support) and some of the
test split (the queries); `episodes` classifies the queries by the nearest class mean. Nothing is trained. The interval
is over episodes: it covers other episodes, not other pictures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch

from dream.data.drawn.drawing import draw
from dream.data.drawn.grammar import Scene
from dream.data.drawn.shapes import place_scenes
from dream.data.emoji.corpus import is_emoji
from dream.data.report import DataReport
from dream.errors import InputError
from dream.evaluation.classes.episodes import EpisodeSettings, Pool, episode_accuracies
from dream.evaluation.classes.examples import example_chunks, featured
from dream.evaluation.classes.features import check_pooling, encoder_features, labelled_features
from dream.evaluation.classes.few_shot_sets import SETS, is_collection, missing, resolve
from dream.evaluation.classes.few_shot_shapes import drawn_classes
from dream.evaluation.classes.pictures import choose_evenly
from dream.evaluation.classes.settings import Pooling
from dream.evaluation.classes.sources import labelled_chunks, stored_classes
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.settings import at_least
from dream.evaluation.statistics import Measure, combined, mean_share
from dream.model.pretrained import Pretrained
from dream.randomness import seed_of

MISSING_SET = "missing data set"
"""Kind of the report's lines on skipped sets."""


@dataclass(frozen=True)
class FewShotSettings(EpisodeSettings, task="few_shot"):
    """The published protocol, except for `per_class`, which saves time."""

    pooling: Pooling = "image"
    """Feature of a picture: image (mean of its tokens), buffer, all, or joint (the joint space)."""
    per_class: Annotated[int, at_least(0)] = 50
    """Pictures kept per class, of the support's split and of the queries'; 0 keeps all (published)."""
    label: Literal["style", "group", "subgroup"] = "subgroup"
    """Classes of the episodes (emoji only)."""

    def _conflicts(self, name: str) -> Iterator[str]:
        """A class needs as many pictures as shots."""
        if 0 < self.per_class < self.shots:
            yield (
                f"few_shot.per_class must be at least few_shot.shots = {self.shots} (0 keeps all), got {self.per_class}"
            )

    def measure(
        self, pretrained: Pretrained, data: str = "shapes", seed: int = 0, progress: Progress = quiet
    ) -> list[Measure]:
        """Accuracy of N-way K-shot classification by data set, and the mean over sets if there are several.

        `data` is `shapes`, one of the 14 sets (`few_shot_sets`), `few-shot-14`, `few-shot-14:DIR`, or any labelled
        source. Sets of a collection that cannot be opened are reported, named with the mean, and skipped. Raises
        InputError for a source that cannot be opened, or has too few classes.
        """
        check_pooling(pretrained, self.pooling)
        if data == "shapes":
            return _on_shapes(pretrained, self, seed)
        if is_emoji(data):
            return [
                _measure({"data": data, "label": self.label}, _emoji_pools(pretrained, data, self, seed), self, seed)
            ]
        sets = resolve(data)
        skipped = dict.fromkeys(missing(data), "there is no such folder")
        measures = []
        for number, (name, source) in enumerate(sets):
            progress(number / len(sets), name)
            try:
                pools = _pools(pretrained, name, source, self, seed)
                measures.append(_measure({"data": name}, pools, self, seed))
            except InputError as error:
                if not is_collection(data):
                    raise
                skipped[name] = str(error)
        if not measures:
            raise InputError(f"no set of '{data}' can be used; of {sets[0][0]}: {skipped[sets[0][0]]}")
        if is_collection(data):
            measures.append(_mean(measures, data, skipped))
        return measures


def _measure(where: dict[str, object], pools: list[Pool], settings: FewShotSettings, seed: int) -> Measure:
    draws = np.random.default_rng(seed_of(seed, "few-shot episodes", *map(str, where.values())))
    accuracies = episode_accuracies(pools[0], pools[1], settings, draws)
    where = {**where, "ways": settings.ways, "shots": settings.shots}
    return Measure("few_shot", "accuracy", where, mean_share(accuracies, "episodes"))


def _mean(measures: list[Measure], data: str, skipped: dict[str, str]) -> Measure:
    """Mean over sets, as in the paper's table; skipped sets go to a report."""
    report = DataReport()
    for name, reason in skipped.items():
        report.add(MISSING_SET, data, name, reason)
    where = {**measures[0].where, "data": f"mean of {len(measures)} sets"}
    if skipped:
        where["without"] = sorted(skipped)
    return Measure("few_shot", "accuracy", where, combined([m.estimate for m in measures], "sets"))


# pictures


def _pools(pretrained: Pretrained, name: str, source: str, settings: FewShotSettings, seed: int) -> list[Pool]:
    """Features of a labelled source's training and test pictures, at most `per_class` per class each."""
    splits = []
    for split in ("train", "test"):
        limit = settings.per_class * _class_count(name, source, split) if settings.per_class else None
        chunks = labelled_chunks(source, pretrained.config.image.size, split=split, limit=limit, seed=seed)
        splits.append(labelled_features(pretrained, chunks, settings.pooling))
    classes = max(int(labels.max()) + 1 if len(labels) else 0 for _, labels in splits)
    return [Pool.of(features, labels.numpy(), classes) for features, labels in splits]


def _class_count(name: str, source: str, split: str) -> int:
    return SETS[name].classes if name in SETS else len(stored_classes(source, split))


def _emoji_pools(pretrained: Pretrained, data: str, settings: FewShotSettings, seed: int) -> list[Pool]:
    """Features of the emoji to learn from and to classify, at most `per_class` per class each."""
    pools, labels = [], (settings.label,)
    for split in ("train", "test"):
        chunks = example_chunks(data, pretrained.config, split, labels=labels, seed=seed)
        examples = featured(pretrained, chunks, settings.pooling)
        numbers, classes = examples.labels[settings.label].numpy(), len(examples.classes[settings.label])
        kept = choose_evenly(numbers, settings.per_class * classes if settings.per_class else None, seed)
        pools.append(Pool.of(examples.inputs[kept], numbers[kept], classes))
    return pools


def _on_shapes(pretrained: Pretrained, settings: FewShotSettings, seed: int) -> list[Measure]:
    """Accuracy on classes of drawn pictures (`few_shot_shapes`) that training never showed, and on those it did."""
    measures = []
    for unseen in (True, False):
        combination = "unseen" if unseen else "seen"
        for kind, classes in drawn_classes(pretrained.config.data.level, unseen, seed):
            where: dict[str, object] = {"data": "shapes", "classes": kind, "combination": combination}
            draws = np.random.default_rng(seed_of(seed, "few-shot shapes", kind, combination))
            pools = [_drawn_pool(pretrained, classes, settings, draws) for _ in ("support", "queries")]
            measures.append(_measure(where, pools, settings, seed))
    return measures


def _drawn_pool(
    pretrained: Pretrained, classes: list[list[Scene]], settings: FewShotSettings, draws: np.random.Generator
) -> Pool:
    each = settings.per_class or FewShotSettings.per_class
    scenes = [scenes[i] for scenes in classes for i in draws.integers(len(scenes), size=each).tolist()]
    placed = place_scenes(scenes, pretrained.config.data.level, draws)
    images = torch.from_numpy(draw(placed, pretrained.config.image.size))
    labels = np.arange(len(classes)).repeat(each)
    return Pool.of(encoder_features(pretrained, images, settings.pooling), labels, len(classes))
