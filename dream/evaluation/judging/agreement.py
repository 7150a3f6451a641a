"""Accuracy of the judge of drawn shapes, on drawings with known answers, unseen in its training.

Drawings as the source makes them must be read right, and found wrong under a caption that is wrong in one thing. Worn
and displaced ones must be read right; malformed ones must be refused.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dream.data.drawn.drawing import draw
from dream.data.drawn.grammar import Scene, caption, edits
from dream.data.drawn.shapes import sample_scenes
from dream.evaluation.judging import damage
from dream.evaluation.judging.damage import Drawings
from dream.evaluation.judging.interface import Verdict
from dream.evaluation.judging.judge import Judge
from dream.evaluation.judging.reading import IGNORE, REFUSABLE, DrawingReader
from dream.evaluation.judging.wide_network import WideNetwork
from dream.evaluation.progress import Progress
from dream.evaluation.statistics import Measure, share
from dream.randomness import seed_of

Flags = NDArray[np.bool_]
Labels = Mapping[str, NDArray[np.int64]]
SIDES = (30, 32, 48, 64)
"""Sizes in pixels at which the accuracy at levels 2 and 3 is kept."""


def shapes_agreement(judge: Judge, level: int, size: int, count: int, seed: int, progress: Progress) -> list[Measure]:
    """Shares of drawings that the judge reads as their answer key says, by attribute, and refuses, by damage.

    Exact drawings are of the level and `size` pixels wide, which the judge rescales to its own; damaged ones are of the
    highest level and the size of the network that reads this level. There are `count` of each kind, and a fifth of each
    damage.
    """
    draws = np.random.default_rng(seed_of(seed, "judge agreement"))
    progress(0.0, "reading exact drawings")
    measures = _exact(judge, level, size, count, draws)
    progress(0.3, "reading worn and malformed drawings")
    read, refused = _readings(judge.reader(level), count, count // 5, draws)
    for kind in ("worn", "straying"):
        measures.append(_measure("every attribute right", f"{kind} drawings", read[kind]))
    return measures + [_measure("refused", f"damage: {kind}", flags) for kind, flags in refused.items()]


def _measure(name: str, of: str, flags: Flags, **where: Any) -> Measure:
    return Measure("judge", name, {"data": "shapes", "of": of, **where}, share(flags, "drawings"))


def _exact(judge: Judge, level: int, size: int, count: int, draws: np.random.Generator) -> list[Measure]:
    """Shares right under the drawings' own captions, and found wrong under captions that are wrong in one thing."""
    scenes = sample_scenes(level, count // 2, draws, unseen=True)
    scenes += sample_scenes(level, count - count // 2, draws)
    images = torch.from_numpy(draw(scenes, size))
    own = judge.verdict(images, [caption(scene) for scene in scenes])
    measures = _own(own)
    changed = [edits(scene, level, draws) for scene in scenes]
    for kind in dict.fromkeys(kind for kinds in changed for kind in kinds):
        rows = [i for i, kinds in enumerate(changed) if kind in kinds]
        wrong = ~judge.correct(images[rows], [caption(changed[i][kind]) for i in rows])
        measures.append(_measure("found wrong", f"exact drawings, {kind} of the caption changed", wrong.numpy()))
    return measures


def _own(verdict: Verdict) -> list[Measure]:
    of = "exact drawings"
    return [
        _measure("every attribute right", of, verdict.right.numpy()),
        _measure("every attribute right", of, verdict.well_formed.numpy(), malformed_refused=True),
        *(_measure(f"{name} right", of, flags.numpy()) for name, flags in verdict.attributes.items()),
    ]


def judge_accuracy(judge: Judge, count: int = 5000, seed: int = 1) -> dict[str, Any]:
    """Shares of held-out drawings: clean and worn ones read right in every attribute, damaged ones refused by kind.

    The seed must differ from the training's. A damaged drawing counts if it has a label 'none of these'.
    """
    return _accuracy(judge, count, np.random.default_rng([seed, 1]))


def wide_accuracy(network: WideNetwork, count: int = 1000, seed: int = 1) -> dict[str, Any]:
    """Shares of held-out drawings of levels 2 and 3 that are read right, for the JSON beside the weights.

    Clean ones by level, seen and unseen combinations, attribute, number of objects, and size in pixels; level 3 also
    as in `judge_accuracy`. The seed must differ from the training's.
    """
    draws = np.random.default_rng([seed, 3])
    found: dict[str, Any] = {}
    for level in (2, 3):
        for combination in ("seen", "unseen"):
            scenes = sample_scenes(level, count, draws, unseen=combination == "unseen")
            found[f"level {level}, {combination}"] = _clean_shares(network, scenes)
    return found | {"level 3": _accuracy(network, count, draws)}


def _clean_shares(network: WideNetwork, scenes: list[Scene]) -> dict[str, Any]:
    labels = network.reach.labels(scenes)
    at = {side: _agreement(network, torch.from_numpy(draw(scenes, side)), labels) for side in SIDES}
    by_attribute, things = at[network.reach.side], np.array([len(scene.things) for scene in scenes])
    clean = _every(by_attribute)
    return {
        "clean": float(clean.mean()),
        "clean_by_attribute": {name: float(flags.mean()) for name, flags in by_attribute.items()},
        "clean_by_things": {str(n): float(clean[things == n].mean()) for n in sorted(set(things.tolist()))},
        "clean_by_pixels": {str(side): float(_every(flags).mean()) for side, flags in at.items()},
    }


def _accuracy(reader: DrawingReader, count: int, draws: np.random.Generator) -> dict[str, Any]:
    read, refused = _readings(reader, count, count // 5, draws)
    means = {kind: float(flags.mean()) for kind, flags in read.items()}
    attributes = tuple(reader.reach.classes)
    return {
        "drawings": count,
        **{kind: mean for kind, mean in means.items() if kind not in attributes},
        "clean_by_attribute": {name: means[name] for name in attributes},
        "refused": {kind: float(flags.mean()) for kind, flags in refused.items()},
    }


def _readings(
    reader: DrawingReader, count: int, damaged: int, draws: np.random.Generator
) -> tuple[dict[str, Flags], dict[str, Flags]]:
    """Flags of drawings read right, by kind (clean ones also by attribute), and of malformed ones refused, by damage.

    They are of the highest level that the network knows. There are `count` drawings of each kind, and `damaged` of
    each damage.
    """
    reach = reader.reach
    clean = damage.clean_drawings(count, draws, reach)
    worn = damage.worn(clean.images, draws)
    straying = damage.damaged_drawings("none", count, draws, reach)
    by_attribute = _agreement(reader, _images(clean.images), clean.labels)
    read = {
        "clean": _every(by_attribute),
        "clean_not_refusing": _every(_agreement(reader, _images(clean.images), clean.labels, refusing=False)),
        "worn": _every(_agreement(reader, _images(worn), clean.labels)),
        "straying": _every(_agreement(reader, _images(straying.images), straying.labels)),
        **by_attribute,
    }
    kinds = damage.damages(reach)
    return read, {kind: _refused(reader, damage.damaged_drawings(kind, damaged, draws, reach)) for kind in kinds}


def _agreement(reader: DrawingReader, images: Tensor, labels: Labels, refusing: bool = True) -> dict[str, Flags]:
    numbers = {name: torch.from_numpy(values) for name, values in labels.items()}
    return {name: flags.numpy() for name, flags in reader.read(images, refusing).agrees(numbers).items()}


def _every(flags: Mapping[str, Flags]) -> Flags:
    return np.logical_and.reduce(list(flags.values()))


def _images(pictures: damage.Pictures) -> Tensor:
    return torch.from_numpy(pictures.astype(np.float32))


def _refused(reader: DrawingReader, drawings: Drawings) -> Flags:
    """Flags of the malformed drawings: whether anything is read as 'none of these'."""
    reading, classes = reader.read(_images(drawings.images)), reader.reach.classes
    malformed, refused = np.zeros(len(drawings.images), bool), np.zeros(len(drawings.images), bool)
    for name in REFUSABLE:
        labels = drawings.labels[name].reshape(len(malformed), -1)
        read = getattr(reading, name).numpy().reshape(len(malformed), -1)
        malformed |= (labels == classes[name]).any(1)
        refused |= ((labels != IGNORE) & (read == classes[name])).any(1)
    return refused[malformed]
