"""Means of several runs' results, with the confidence interval over the runs."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dream.evaluation.results import Results, TaskResult
from dream.evaluation.statistics import SHARES, Estimate, Measure, mean_of_averages


def mean_over_seeds(name: str, model: str, runs: Sequence[Results]) -> Results:
    """Returns the results of one variant's runs as one: each measure is the mean over the runs that have it."""
    groups: dict[tuple[str, str, str], list[TaskResult]] = {}
    for run in runs:
        for entry in run.current().entries:
            groups.setdefault(entry.group, []).append(entry)
    return Results(name, model, tuple(_mean_entry(found) for found in groups.values()))


def _mean_entry(entries: Sequence[TaskResult]) -> TaskResult:
    found: dict[tuple[str, str], list[Measure]] = {}
    for entry in entries:
        for measure in entry.measures:
            found.setdefault((measure.name, json.dumps(measure.where)), []).append(measure)
    measures = tuple(replace(same[0], estimate=over_seeds([m.estimate for m in same])) for same in found.values())
    return replace(entries[0], measures=measures, model_id="mean", seconds=sum(e.seconds for e in entries))


def over_seeds(estimates: Sequence[Estimate]) -> Estimate:
    """Returns the mean of the runs with Student's t interval; a single run keeps its own interval.

    Runs that agree exactly show no spread, so there is no interval.
    """
    finite = [estimate for estimate in estimates if math.isfinite(estimate.value)]
    if len(finite) < 2:
        return (finite or estimates)[0]
    mean = mean_of_averages([estimate.value for estimate in finite])
    if not all(estimate.kind in SHARES for estimate in finite):
        return mean
    return replace(mean, low=float(np.maximum(0, mean.low)), high=float(np.minimum(1, mean.high)))
