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
from dream.data.drawn.grammar import caption, edits
from dream.data.drawn.shapes import sample_scenes
from dream.evaluation.judging import damage
from dream.evaluation.judging.damage import CLASSES, IGNORE, Drawings
from dream.evaluation.judging.interface import Verdict
from dream.evaluation.judging.judge import Judge
from dream.evaluation.progress import Progress
from dream.evaluation.statistics import Measure, share
from dream.randomness import seed_of

Flags = NDArray[np.bool_]


def shapes_agreement(judge: Judge, level: int, size: int, count: int, seed: int, progress: Progress) -> list[Measure]:
    """Shares of drawings that the judge reads as their answer key says, by attribute, and refuses, by damage.

    Exact drawings are of the level and `size` pixels wide, which the judge rescales to its own; damaged ones have the
    judge's. There are `count` of each kind, and a fifth of each damage.
    """
    draws = np.random.default_rng(seed_of(seed, "judge agreement"))
    progress(0.0, "reading exact drawings")
    measures = _exact(judge, level, size, count, draws)
    progress(0.3, "reading worn and malformed drawings")
    read, refused = _readings(judge, count, count // 5, draws)
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
    read, refused = _readings(judge, count, count // 5, np.random.default_rng([seed, 1]))
    means = {kind: float(flags.mean()) for kind, flags in read.items()}
    attributes = ("layout", "ground", "shape", "colour")
    return {
        "drawings": count,
        **{kind: mean for kind, mean in means.items() if kind not in attributes},
        "clean_by_attribute": {name: means[name] for name in attributes},
        "refused": {kind: float(flags.mean()) for kind, flags in refused.items()},
    }


def _readings(
    judge: Judge, count: int, damaged: int, draws: np.random.Generator
) -> tuple[dict[str, Flags], dict[str, Flags]]:
    """Flags of drawings read right, by kind (clean ones also by attribute), and of malformed ones refused, by damage.

    There are `count` drawings of each kind, and `damaged` of each damage.
    """
    clean = damage.clean_drawings(count, draws)
    worn = Drawings(damage.worn(clean.images, draws), clean.labels)
    straying = damage.damaged_drawings("none", count, draws)
    by_attribute = _agreement(judge, clean)
    read = {
        "clean": _every(by_attribute),
        "clean_not_refusing": _every(_agreement(judge, clean, refusing=False)),
        "worn": _every(_agreement(judge, worn)),
        "straying": _every(_agreement(judge, straying)),
        **by_attribute,
    }
    kinds = damage.DAMAGES
    return read, {kind: _refused(judge, damage.damaged_drawings(kind, damaged, draws)) for kind in kinds}


def _agreement(judge: Judge, drawings: Drawings, refusing: bool = True) -> dict[str, Flags]:
    labels = {name: torch.from_numpy(numbers) for name, numbers in drawings.labels.items()}
    agrees = judge.read(_images(drawings), refusing).agrees(labels)
    return {name: flags.numpy() for name, flags in agrees.items()}


def _every(flags: Mapping[str, Flags]) -> Flags:
    return np.logical_and.reduce(list(flags.values()))


def _images(drawings: Drawings) -> Tensor:
    return torch.from_numpy(drawings.images.astype(np.float32))


def _refused(judge: Judge, drawings: Drawings) -> Flags:
    """Flags of the malformed drawings: whether anything is read as 'none of these'."""
    reading = judge.read(_images(drawings))
    malformed, refused = np.zeros(len(drawings.images), bool), np.zeros(len(drawings.images), bool)
    for name in ("layout", "ground", "shape"):
        labels = drawings.labels[name].reshape(len(malformed), -1)
        read = getattr(reading, name).numpy().reshape(len(malformed), -1)
        malformed |= (labels == CLASSES[name]).any(1)
        refused |= ((labels != IGNORE) & (read == CLASSES[name])).any(1)
    return refused[malformed]
