"""Means of several runs' results, with the confidence interval over the runs."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dream.evaluation.results import Results, TaskResult
from dream.evaluation.statistics import Estimate, Measure

T95 = (
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
    2.120,
    2.110,
    2.101,
    2.093,
    2.086,
)
"""97.5 % quantiles of Student's t distribution with 1 to 20 degrees of freedom."""


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
    """Returns the mean of the runs with Student's t interval; a single run keeps its own interval."""
    finite = [estimate for estimate in estimates if math.isfinite(estimate.value)]
    if len(finite) < 2:
        return (finite or estimates)[0]
    values = np.array([estimate.value for estimate in finite])
    degrees = len(values) - 1
    half = (T95[degrees - 1] if degrees <= len(T95) else 2.0) * values.std(ddof=1) / np.sqrt(len(values))
    middle = float(values.mean())
    return Estimate(middle, middle - float(half), middle + float(half), len(values))
