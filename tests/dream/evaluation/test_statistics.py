"""Estimates: closed forms, known-best and blind scores, and estimates without an interval."""

import json
import math

import numpy as np
import pytest

from dream.evaluation import intervals
from dream.evaluation.statistics import (
    EQUAL,
    TOO_FEW,
    Estimate,
    Measure,
    auc,
    combined,
    mean,
    mean_difference,
    mean_of_averages,
    mean_of_ratios,
    mean_share,
    rate,
    ratio_share,
    share,
    two_set_share,
)


def test_wilson_interval_matches_its_published_values():
    """81 of 263: 0.255 to 0.366 (Newcombe 1998, method 3)."""
    found = share(np.arange(263) < 81)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)
    assert share([True] * 5).high == share([True] * 5).value == 1.0
    assert math.isnan(share([]).value)


def test_the_end_for_few_hits_is_that_of_a_poisson_count():
    """Brown, Cai and DasGupta 2001: 1 of 100 begins at 0.000513, half the 5 % quantile of a chi-square over n."""
    assert share(np.arange(100) < 1).low == pytest.approx(0.00051293)
    assert share(np.arange(100) >= 1).high == pytest.approx(1 - 0.00051293)
    assert share(np.arange(100) < 4).low == pytest.approx(0.0157, abs=1e-4)  # Wilson's own from 4 hits


def test_students_quantiles_are_those_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    degrees = np.array([1, 1.5, 2, 2.7, 3, 5, 10, 30, 100, 1000, 1e6])
    assert intervals.student_quantile(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), abs=2e-4)


def test_mean_is_the_mean():
    found = mean(np.arange(1.0, 10.0))
    assert found.value == 5.0 and found.low < 5.0 < found.high and found.count == 9
    assert math.isnan(mean([]).value) and not mean([]).has_interval
    assert mean(np.arange(1.0, 10.0), least=4.5).low == 4.5


def test_where_no_interval_is_right_there_is_none_and_the_estimate_says_why():
    few, alike, none = mean([1.0, 2.0, 3.0], "prompts"), mean(np.ones(30)), share([])
    assert not few.has_interval and few.interval == "too few prompts for an interval: 3"
    assert "all or nearly all of the 30 pictures are equal" in alike.interval
    assert str(few) == "2.000 (no interval)" and Measure("t", "n", {}, few).to_dict()["low"] is None
    assert mean_of_averages([0.5]).kind == TOO_FEW and mean_of_averages([0.5, 0.5, 0.5]).kind == EQUAL
    assert none.count == 0 and not none.has_interval


def test_an_interval_says_its_kind_and_its_rows():
    assert share(np.arange(64) < 9, "prompts").interval == "95 % Wilson interval, n = 64 prompts"
    assert mean_of_averages([1.0, 2.0, 3.0]).interval == "95 % Student interval, n = 3 runs"
    assert Estimate(0.5, 0.4, 0.6, 10).interval == "95 % interval, n = 10 rows"


def test_a_difference_has_a_width_even_where_nothing_differs():
    found = mean_difference(np.zeros(1000))
    assert found.value == 0 and found.high == -found.low == pytest.approx(0.0028, abs=1e-4)
    assert mean_difference(np.ones(5)).high == 1.0


def test_paired_differences_are_bonett_and_prices():
    """Bonett and Price (2012): 20 won and 5 lost of 100; Student's quantile instead of the normal one."""
    values = np.repeat([1.0, -1.0, 0.0], [20, 5, 75])
    won, lost = 21 / 102, 6 / 102
    half = intervals.student_quantile(101) * math.sqrt((won + lost - (won - lost) ** 2) / 102)
    found = mean_difference(values)
    assert (found.low, found.high) == pytest.approx((won - lost - half, won - lost + half))


def test_rows_that_are_shares_are_never_surer_than_their_spread_allows():
    alike, apart = mean_share(np.full(40, 0.5) + 0.01 * np.arange(-20, 20) / 20), mean_share(np.repeat([0.0, 1.0], 20))
    assert alike.high - alike.low < 0.01 < 0.25 < apart.high - apart.low
    assert mean_share(np.repeat([0.0, 1.0], 20)) == share(np.repeat([False, True], 20))
    assert mean_share([0.625]).kind == TOO_FEW


def test_equal_shares_of_few_rows_have_the_width_of_as_many_coins():
    for value in (0.2, 0.5):
        found = mean_share([value] * 5)
        low, high = intervals.wilson_ends(value, 5)
        assert (found.low, found.high) == (float(low), float(high)) and high - low > 0.4


def test_a_value_that_occurs_once_among_equal_ones_does_not_tell_how_large_rare_values_are():
    assert not mean([0.0] * 19 + [0.3]).has_interval
    assert mean([0.0] * 18 + [0.3] * 2).has_interval


def test_a_ratio_weighs_rows_and_leaves_out_those_without_weight():
    parts = np.array([[1.0, 2.0]] * 10 + [[6.0, 8.0]] * 10 + [[0.0, 0.0]] * 5)
    assert ratio_share(parts).value == pytest.approx(70 / 100) and ratio_share(parts).count == 20
    assert math.isnan(ratio_share(np.zeros((3, 2))).value)


def test_the_mean_of_ratios_leaves_out_classes_that_never_occur():
    parts = np.zeros((12, 2, 3))
    parts[:, :, 0], parts[:, :, 1] = [3, 4], [1, 4]
    parts[:6, 0, 1] = 2
    found = mean_of_ratios(parts)
    assert found.value == pytest.approx((0.75 + 0.375) / 2) and found.low < found.value < found.high


def test_a_rate_is_of_the_sums():
    assert rate([[128, 2.0], [128, 2.2], [40, 0.6]]).value == pytest.approx(296 / 4.8)
    assert rate([[128, 2.0], [128, 2.2], [40, 0.6]]).kind == "student"


def test_a_mean_of_estimates_is_as_sure_as_their_intervals_together():
    one = share(np.arange(100) < 50)
    found = combined([one] * 4)
    assert found.value == one.value and found.high - found.low == pytest.approx((one.high - one.low) / 2)
    assert not combined([one, mean([1.0])]).has_interval


def test_a_share_that_depends_on_another_set_is_less_sure_than_one_that_does_not():
    flags = np.arange(200) < 150
    steady, moved = two_set_share(flags, np.zeros(200)), two_set_share(flags, np.repeat([0.0, -0.02], 100))
    assert (steady.low, steady.high) == pytest.approx((share(flags).low, share(flags).high))
    assert moved.low < steady.low and moved.high > steady.high


def test_auc_is_one_for_an_oracle_and_a_half_for_the_blind():
    draws = np.random.default_rng(0)
    right = draws.random((200, 8)) < 0.4
    assert auc(right, right).value == 1.0
    assert auc(~right, right).value == 0.0
    assert auc(np.zeros_like(right), right).value == 0.5
    blind = auc(draws.random(right.shape), right)
    assert blind.low < 0.5 < blind.high


def test_auc_of_one_prompt_is_the_rank_sum_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    draws = np.random.default_rng(0)
    scores, right = draws.integers(0, 20, 60), draws.random(60) < 0.4
    pairs = right.sum() * (~right).sum()
    expected = stats.mannwhitneyu(scores[right], scores[~right]).statistic / pairs
    assert auc([scores], [right]).value == pytest.approx(expected)


def test_auc_compares_within_a_prompt_only():
    scores = np.array([[0.9, 0.8], [0.1, 0.2]])
    assert auc(scores, [[True, False], [False, True]]).value == 1.0


def test_what_is_not_a_number_is_null_in_json():
    record = Measure("edits", "colour", {}, share([])).to_dict()
    assert record["value"] is None and json.dumps(record, allow_nan=False)
