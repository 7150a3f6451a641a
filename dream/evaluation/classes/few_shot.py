"""Few-shot classification with frozen features: LGSSL's protocol (arXiv 2302.12066), that is SimpleShot's.

An episode draws some classes, a few labelled pictures of each from the training split (the support) and some
of the test split (the queries). Features, less the support's mean and L2-normalised, are compared with the
means of the classes; nothing is trained. The interval is over episodes: other episodes, the same pictures.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dream.data.drawing import draw
from dream.data.grammar import Scene
from dream.data.report import DataReport
from dream.data.shapes import place_scenes
from dream.errors import InputError
from dream.evaluation.classes.features import check_pooling, encoder_features, labelled_features
from dream.evaluation.classes.few_shot_sets import SETS, is_collection, missing, resolve
from dream.evaluation.classes.few_shot_shapes import drawn_classes
from dream.evaluation.classes.pictures import labelled_chunks, stored_classes
from dream.evaluation.limits import at_least
from dream.evaluation.progress import Progress, quiet
from dream.evaluation.statistics import Z95, Estimate, Measure
from dream.randomness import seed_of

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

CHUNK_VALUES = 1 << 23
"""Feature values of the episodes that are classified at once."""
MISSING_SET = "missing data set"
"""Kind of the report's lines on sets that are skipped."""


@dataclass(frozen=True)
class FewShotSettings:
    """The published protocol, but for `per_class` (which is for speed)."""

    episodes: int = 5000
    """Episodes a data set."""
    ways: int = 5
    """Classes an episode."""
    shots: int = 5
    """Labelled pictures a class and episode."""
    queries: int = 6
    """Pictures to classify a class and episode; a class with fewer gives all it has."""
    pooling: str = "image"
    """What of the encoder is read: image (mean of its tokens), buffer, all, or joint (the joint space)."""
    centred: bool = True
    """Subtract the mean of the episode's support."""
    per_class: int = 50
    """Pictures kept a class, of the support's split and of the queries'; 0 keeps all (published)."""


@dataclass(frozen=True)
class Pool:
    """Features of labelled pictures, those of a class together."""

    features: Tensor
    """(N, D)."""
    starts: NDArray[np.int64]
    """(C,) first row of each class."""
    counts: NDArray[np.int64]
    """(C,) rows of each class."""

    @classmethod
    def of(cls, features: Tensor, labels: ArrayLike, classes: int) -> "Pool":
        """Features (N, D) and their labels (N,) in any order."""
        numbers = np.asarray(labels, np.int64)
        counts = np.bincount(numbers, minlength=classes)
        order = torch.from_numpy(np.argsort(numbers, kind="stable"))
        return cls(features[order].float(), np.cumsum(counts) - counts, counts)


@dataclass(frozen=True)
class Episodes:
    """What each of E episodes draws: rows of two pools."""

    support: NDArray[np.int64]
    """(E, ways, shots) rows of the support's pool."""
    queries: NDArray[np.int64]
    """(E, ways, queries) rows of the queries' pool; -1 where the class has no more."""


def few_shot(
    pretrained: "Pretrained",
    *,
    data: str = "shapes",
    settings: FewShotSettings = FewShotSettings(),
    seed: int = 0,
    progress: Progress = quiet,
) -> list[Measure]:
    """Accuracy of N-way K-shot classification by data set, and the mean over sets where there are several.

    `data`: shapes, one of the 14 sets (`few_shot_sets`), `few-shot-14`, `few-shot-14:DIR`, or any labelled
    source. Sets of a collection that cannot be opened are reported, named with the mean, and skipped. Raises
    InputError for bad settings, a source that cannot be opened, or too few classes.
    """
    _check(settings)
    check_pooling(pretrained, settings.pooling)
    if data == "shapes":
        return _on_shapes(pretrained, settings, seed)
    sets = resolve(data)
    skipped = dict.fromkeys(missing(data), "there is no such folder")
    found = []
    for number, (name, source) in enumerate(sets):
        progress(number / len(sets), name)
        try:
            pools = _pools(pretrained, name, source, settings, seed)
            found.append(_measure({"data": name}, pools, settings, seed))
        except InputError as error:
            if not is_collection(data):
                raise
            skipped[name] = str(error)
    if not found:
        raise InputError(f"no set of '{data}' can be used; of {sets[0][0]}: {skipped[sets[0][0]]}")
    if is_collection(data):
        found.append(_mean(found, data, skipped))
    return found


# the protocol


def draw_episodes(
    support: NDArray[np.int64], queries: NDArray[np.int64], settings: FewShotSettings, draws: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Classes (E, ways), and of each its (E, ways, shots) support and (E, ways, queries) query pictures.

    `support` and `queries` (C,) say how many pictures each class has. Numbers count within the class; -1 is
    a query that there is not. Raises InputError for fewer than `ways` classes with enough pictures.
    """
    usable = np.flatnonzero((support >= settings.shots) & (queries > 0))
    if len(usable) < settings.ways:
        raise InputError(
            f"{len(usable)} of {len(support)} classes have {settings.shots} pictures to learn from and one to"
            f" classify, few_shot.ways = {settings.ways} are needed; lower few_shot.ways or few_shot.shots"
        )
    classes = usable[distinct(np.full(settings.episodes, len(usable)), settings.ways, draws)]
    shown = distinct(support[classes], settings.shots, draws)
    return classes, shown, distinct(queries[classes], settings.queries, draws)


def distinct(counts: NDArray[np.int64], k: int, draws: np.random.Generator) -> NDArray[np.int64]:
    """(..., k) different numbers below each of `counts` (...), every subset as likely (Floyd 1987).

    Where there are fewer than k, all of them, and -1 in front.
    """
    chosen = np.full((*counts.shape, k), -1, np.int64)
    for i in range(k):
        top = counts - k + i
        one = (draws.random(counts.shape) * (top + 1)).astype(np.int64)
        taken = (chosen[..., :i] == one[..., None]).any(-1)
        chosen[..., i] = np.where(top < 0, -1, np.where(taken, top, one))
    return chosen


def episode_accuracies(
    support: Pool, queries: Pool, settings: FewShotSettings, draws: np.random.Generator
) -> NDArray[np.float64]:
    """(E,) share of each episode's queries whose nearest class mean is their own class's."""
    classes, shown, asked = draw_episodes(support.counts, queries.counts, settings, draws)
    rows = Episodes(
        support.starts[classes][..., None] + shown, np.where(asked < 0, -1, queries.starts[classes][..., None] + asked)
    )
    values = settings.ways * (settings.shots + settings.queries) * support.features.shape[1]
    size = max(1, CHUNK_VALUES // values)
    parts = [
        _accuracies(support.features, queries.features, rows, slice(i, i + size), settings.centred)
        for i in range(0, settings.episodes, size)
    ]
    return np.concatenate(parts)


def _accuracies(support: Tensor, queries: Tensor, rows: Episodes, part: slice, centred: bool) -> NDArray[np.float64]:
    there = torch.from_numpy(rows.queries[part] >= 0)  # (E, W, Q)
    shown = support[torch.from_numpy(rows.support[part])]  # (E, W, S, D)
    asked = queries[torch.from_numpy(rows.queries[part].clip(0))]  # (E, W, Q, D)
    if centred:
        centre = shown.mean((1, 2), keepdim=True)
        shown, asked = shown - centre, asked - centre
    prototypes = F.normalize(shown, dim=-1).mean(2)  # (E, W, D)
    asked = F.normalize(asked, dim=-1).flatten(1, 2)  # (E, W Q, D)
    # the squared distance, less the query's own square, which is the same for all classes
    distance = (prototypes**2).sum(-1)[:, None] - 2 * asked @ prototypes.transpose(1, 2)  # (E, W Q, W)
    own = torch.arange(there.shape[1])[:, None]
    right = (distance.argmin(-1).view(there.shape) == own) & there
    return (right.sum((1, 2)) / there.sum((1, 2))).double().numpy()


def _measure(where: dict[str, object], pools: list[Pool], settings: FewShotSettings, seed: int) -> Measure:
    draws = np.random.default_rng(seed_of(seed, "few-shot episodes", *map(str, where.values())))
    hits = episode_accuracies(pools[0], pools[1], settings, draws)
    where = {**where, "ways": settings.ways, "shots": settings.shots}
    error = float(hits.std(ddof=1)) / len(hits) ** 0.5 if len(hits) > 1 else 0.0
    return Measure("few_shot", "accuracy", where, _normal(float(hits.mean()), error, len(hits)))


def _normal(value: float, error: float, count: int) -> Estimate:
    """A mean and its standard error as an estimate, within [0, 1]."""
    return Estimate(value, max(0.0, value - Z95 * error), min(1.0, value + Z95 * error), count)


def _mean(found: list[Measure], data: str, skipped: dict[str, str]) -> Measure:
    """The mean over sets, as the paper's table has it; what is skipped goes to a report."""
    report = DataReport()
    for name, reason in skipped.items():
        report.add(MISSING_SET, data, name, reason)
    errors = [(m.estimate.high - m.estimate.low) / (2 * Z95) for m in found]
    value = float(np.mean([m.estimate.value for m in found]))
    where = {**found[0].where, "data": f"mean of {len(found)} sets"}
    if skipped:
        where["without"] = sorted(skipped)
    error = float(np.sqrt(np.square(errors).sum())) / len(found)
    return Measure("few_shot", "accuracy", where, _normal(value, error, sum(m.estimate.count for m in found)))


# pictures


def _pools(pretrained: "Pretrained", name: str, source: str, settings: FewShotSettings, seed: int) -> list[Pool]:
    """The features of a labelled source's training and test pictures, at most `per_class` a class each."""
    parts = []
    for split in ("train", "test"):
        limit = settings.per_class * _class_count(name, source, split) if settings.per_class else None
        chunks = labelled_chunks(source, pretrained.config, split=split, limit=limit, seed=seed)
        parts.append(labelled_features(pretrained, chunks, settings.pooling))
    classes = max(int(labels.max()) + 1 if len(labels) else 0 for _, labels in parts)
    return [Pool.of(features, labels.numpy(), classes) for features, labels in parts]


def _class_count(name: str, source: str, split: str) -> int:
    return SETS[name].classes if name in SETS else len(stored_classes(source, split))


def _on_shapes(pretrained: "Pretrained", settings: FewShotSettings, seed: int) -> list[Measure]:
    """Classes of drawn pictures (`few_shot_shapes`) that training never showed, and of those it did."""
    found = []
    for unseen in (True, False):
        combination = "unseen" if unseen else "seen"
        for kind, kinds in drawn_classes(pretrained.config.data.level, unseen, seed):
            where: dict[str, object] = {"data": "shapes", "classes": kind, "combination": combination}
            draws = np.random.default_rng(seed_of(seed, "few-shot shapes", kind, combination))
            pools = [_drawn_pool(pretrained, kinds, settings, draws) for _ in ("support", "queries")]
            found.append(_measure(where, pools, settings, seed))
    return found


def _drawn_pool(
    pretrained: "Pretrained", kinds: list[list[Scene]], settings: FewShotSettings, draws: np.random.Generator
) -> Pool:
    each = settings.per_class or FewShotSettings.per_class
    scenes = [scenes[i] for scenes in kinds for i in draws.integers(len(scenes), size=each).tolist()]
    placed = place_scenes(scenes, pretrained.config.data.level, draws)
    images = torch.from_numpy(draw(placed, pretrained.config.image.size))
    labels = np.arange(len(kinds)).repeat(each)
    return Pool.of(encoder_features(pretrained, images, settings.pooling), labels, len(kinds))


def _check(settings: FewShotSettings) -> None:
    at_least("few_shot", settings, episodes=1, ways=2, shots=1, queries=1, per_class=0)
    if 0 < settings.per_class < settings.shots:
        least = f"few_shot.shots = {settings.shots}"
        raise InputError(f"few_shot.per_class must be at least {least} (0 is all), got {settings.per_class}")
