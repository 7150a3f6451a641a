"""Intervals and areas: closed forms, coverage, known-best and blind scores."""

import json
import math

import numpy as np
import pytest

from dream.evaluation import statistics
from dream.evaluation.statistics import Measure, auc, bootstrap, mean, share


def test_wilson_interval_matches_its_published_values():
    """81 of 263: 0.255 to 0.366 (Newcombe 1998, method 3)."""
    found = share(np.arange(263) < 81)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert share([True] * 5).high == share([True] * 5).value == 1.0
    assert math.isnan(share([]).value)


def test_intervals_hold_the_truth_about_95_percent_of_the_time():
    draws = np.random.default_rng(0)
    samples = [draws.random(60) < 0.3 for _ in range(300)]
    for measure in (share, lambda hits: bootstrap(hits, lambda s: s[..., 0], draws, 300)):
        held = [e.low <= 0.3 <= e.high for e in map(measure, samples)]
        assert 0.9 < np.mean(held) < 0.99


def test_a_bootstrap_of_the_mean_is_about_normal_however_it_is_cut_up(monkeypatch):
    values = np.random.default_rng(0).normal(5, 2, 400)
    half = 1.96 * values.std() / 20
    for at_once in (statistics.RESAMPLED_AT_ONCE, 1000):
        monkeypatch.setattr(statistics, "RESAMPLED_AT_ONCE", at_once)
        found = mean(values, np.random.default_rng(1))
        assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
        assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)
        assert found == mean(values, np.random.default_rng(1))


def test_mean_is_the_mean():
    found = mean(np.array([1.0, 2.0, 3.0]), np.random.default_rng(0))
    assert found.value == 2.0 and found.low < 2.0 < found.high and found.count == 3
    assert math.isnan(mean([], np.random.default_rng(0)).value)


def test_auc_is_one_for_an_oracle_and_a_half_for_the_blind():
    draws = np.random.default_rng(0)
    right = draws.random((200, 8)) < 0.4
    assert auc(right, right, draws).value == 1.0
    assert auc(~right, right, draws).value == 0.0
    assert auc(np.zeros_like(right), right, draws).value == 0.5
    blind = auc(draws.random(right.shape), right, draws)
    assert blind.low < 0.5 < blind.high


def test_auc_of_one_prompt_is_the_rank_sum_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    draws = np.random.default_rng(0)
    scores, right = draws.integers(0, 20, 60), draws.random(60) < 0.4
    pairs = right.sum() * (~right).sum()
    expected = stats.mannwhitneyu(scores[right], scores[~right]).statistic / pairs
    assert auc([scores], [right], draws).value == pytest.approx(expected)


def test_auc_compares_within_a_prompt_only():
    scores = np.array([[0.9, 0.8], [0.1, 0.2]])
    assert auc(scores, [[True, False], [False, True]], np.random.default_rng(0)).value == 1.0


def test_what_is_not_a_number_is_null_in_json():
    record = Measure("edits", "colour", {}, share([])).to_dict()
    assert record["value"] is None and json.dumps(record, allow_nan=False)
