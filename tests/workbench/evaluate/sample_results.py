"""Results as an evaluation leaves them, with made-up numbers: enough of each task for every figure."""

from dataclasses import replace

import numpy as np

from dream.evaluation.results import Results, TaskResult
from dream.evaluation.statistics import Estimate, Measure

OBJECTIVES = {"dream": 0.9, "clip": 0.85, "fluid": 0.55, "mar": 0.5}
"""How good each made-up model is."""
TRAINED = {"dream": {"joint", "painting"}, "clip": {"joint"}, "fluid": {"painting"}, "mar": set()}
RATIOS = (0.0, 0.25, 0.5, 0.75)


def estimate(value: float, half: float = 0.02) -> Estimate:
    return Estimate(value, value - half, value + half, 300)


def entry(task: str, measures: list[Measure], objective: str = "dream", **fields) -> TaskResult:
    known = TaskResult(
        task,
        "shapes",
        {"count": 300},
        {},
        0,
        "ema",
        f"id-{objective}",
        {"level": 1},
        objective=objective,
        step=100,
        measures=tuple(measures),
        seconds=1.0,
        time=1.0,
    )
    return replace(known, **fields)


def results(objective: str) -> Results:
    """Every task that a model of the objective can be asked."""
    good, can = OBJECTIVES[objective], TRAINED[objective]
    found = []
    if "joint" in can:
        found += [entry("retrieval", retrieval(good), objective), entry("edits", edits(good), objective)]
    found += [
        entry("probe", [Measure("probe", "accuracy", {"label": "shape"}, estimate(good))], objective),
        entry("few_shot", [Measure("few_shot", "accuracy", {}, estimate(good))], objective),
        entry("segmentation", [Measure("segmentation", "mIoU", {}, estimate(good - 0.3))], objective),
        entry("depth", [Measure("depth", "RMSE", {}, estimate(1 - good))], objective),
    ]
    if "painting" in can:
        where = {"combination": "unseen", "things": "all"}
        right = Measure("prompts", "every attribute right", where, estimate(good))
        found.append(entry("prompts", [right], objective))
    else:
        found.append(entry("prompts", [], objective, skipped="it cannot paint"))
    if can == {"joint", "painting"}:
        found.append(entry("selection", selection(), objective))
    return Results(objective, f"runs/{objective}", tuple(found))


def retrieval(good: float) -> list[Measure]:
    return [
        Measure("retrieval", f"{way} R@1", {"mask_ratio": ratio, "pool": 64}, estimate(good - ratio**2 / 3))
        for ratio in RATIOS
        for way in ("text to image", "image to text")
    ]


def edits(good: float) -> list[Measure]:
    return [
        Measure("edits", kind, {"mask_ratio": ratio, "combination": "all"}, estimate(good - ratio / 4))
        for ratio in RATIOS
        for kind in ("swapped", "shape")
    ]


def selection() -> list[Measure]:
    found = []
    for size in (8, 2, 4):  # the task tells of all candidates first, and of fewer at the headline only
        for share in np.linspace(0.1, 1, 10).round(3).tolist() if size == 8 else [0.3]:
            where = {"candidates": size, "decoded_fraction": share, "step": int(16 * share)}
            where |= {"headline": True} if share == 0.3 else {}
            gain = 0.05 * np.log2(size) * share
            for name, value in (("gain of the choice", gain), ("AUC", 0.5 + 0.4 * share), ("rank correlation", share)):
                found.append(Measure("selection", name, where, estimate(float(value), 0.01)))
    return found


def all_results() -> list[Results]:
    return [results(objective) for objective in OBJECTIVES]


def named(found: Results, name: str) -> Results:
    """The same results of a model of another name."""
    return Results(name, found.model, found.entries)
