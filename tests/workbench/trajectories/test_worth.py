"""What a choice is worth follows from scores alone: a known best wins, and nothing is gained where all are
right."""

import csv
import io
import math

import numpy as np
import pytest

from tests.workbench.trajectories.trajectory_small import finished
from workbench.trajectories.worth import (
    COLUMNS,
    random_regret,
    random_right,
    scored_index,
    what_is_seen,
    what_is_seen_over,
    worth_by_step,
    worth_csv,
    worth_table,
)

LATE = [[[3.0, 2.0, 1.0]], [[1.0, 2.0, 3.0]]]
"""One prompt whose first scores are the reverse of the last ones."""


def test_choosing_at_the_end_loses_nothing_and_ranks_perfectly():
    scores = np.random.default_rng(0).random((3, 5, 4))
    last = worth_by_step(finished(scores, seconds=(1.0,) * 3, plain=(1.0,) * 3))[-1]
    assert last.regret.value == 0 and last.rank.value == 1 and last.decoded == 1


def test_a_reversed_ranking_costs_the_whole_spread():
    first = worth_by_step(finished(LATE))[0]
    assert first.rank.value == -1 and first.regret.value == 2.0
    assert random_regret(finished(LATE)) == 1.0
    assert not first.rank.has_interval and first.rank.interval == "too few prompts for an interval: 1"


def test_the_costs_are_those_measured_step_by_step_and_those_counted():
    rows = worth_by_step(finished(LATE, seconds=(4.0, 5.0), plain=(1.0, 2.0)))
    assert [row.seconds for row in rows] == [6.0, 9.0]
    assert rows[0].seconds_all == 9.0 and rows[0].seconds_plain == 3.0 and rows[0].slower == 2.0
    assert [row.picture_steps for row in rows] == [2.0, 3.0]


def test_auc_needs_right_and_wrong_ones_of_a_prompt():
    good = worth_by_step(finished(LATE, [[True, False, False]]))
    assert good[0].auc.value == 1.0 and good[1].auc.value == 0.0
    assert good[0].right.value == 1.0 and good[1].right.value == 0.0
    assert worth_by_step(finished(LATE, [[True] * 3]))[0].auc is None
    assert worth_by_step(finished(LATE))[0].right is None and random_right(finished(LATE)) is None


def test_counting_malformed_ones_as_right_changes_only_what_is_judged():
    found = finished(LATE, [[False, False, True]], right=[[True, True, True]])
    strict, lenient = (worth_by_step(found, strict) for strict in (True, False))
    assert strict[0].right.value == 0 and lenient[0].right.value == 1
    assert strict[0].regret == lenient[0].regret and lenient[0].auc is None
    assert random_right(found) == pytest.approx(1 / 3) and random_right(found, strict=False) == 1


def test_prompts_of_equal_scores_have_no_rank_correlation_and_none_is_made_up():
    rows = worth_by_step(finished([[[1.0, 1.0]], [[1.0, 1.0]]]))
    assert math.isnan(rows[0].rank.value) and rows[0].regret.value == 0
    assert worth_table(rows)[0][4] is None


def test_the_csv_has_a_row_a_step_and_names_its_intervals():
    rows = worth_by_step(finished(np.random.default_rng(1).random((2, 12, 3)), np.eye(12, 3)))
    table = list(csv.DictReader(io.StringIO(worth_csv(rows).decode())))
    assert len(table) == 2 and len(table[0]) == len(COLUMNS)
    assert table[0]["share of the tokens"] == "0.5" and table[1]["rank correlation"] == "1.0"
    low, value, high = (float(table[0][f"regret (cosine){end}"]) for end in (", low", "", ", high"))
    assert low <= value <= high


def test_a_step_that_was_not_scored_means_the_one_before():
    found = finished(LATE)
    assert [scored_index(found, step) for step in (0, 1, 2, 9)] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([True, True, True], "nothing to gain"),
        ([False, False, False], "no choice could have helped"),
        ([True, False, False], "1 of 3 finished candidates is right, and the chosen one (1) is one of them"),
        ([False, True, True], "2 of 3 finished candidates are right, and the chosen one (1) is not"),
    ],
)
def test_the_sentence_says_what_the_judge_saw(flags, said):
    text = what_is_seen(finished(LATE, [flags]), 0)
    assert said in text and "candidate 1 ranks last, 2.000 below the best" in text


def test_without_a_judge_only_the_score_speaks():
    assert "The judges know only captions of shapes and emoji" in what_is_seen(finished(LATE), 1)
    assert "candidate 3 ranks first, 0.000 below the best" in what_is_seen(finished(LATE), 1)


def test_the_sentence_over_prompts_says_whether_a_gain_is_beyond_chance():
    scores = np.tile([[[3.0, 2.0, 1.0]]], (2, 40, 1))
    for flags, word in (([True, False, False], ", more than chance"), ([True] * 3, "nothing to gain")):
        found = finished(scores, [flags] * 40)
        assert word in what_is_seen_over(found, worth_by_step(found), 0)
    mixed = [[True, False, False]] * 3 + [[False, True, True]] * 3
    found = finished(scores[:, :6], mixed)
    assert "not distinguishable from chance" in what_is_seen_over(found, worth_by_step(found), 0)
    assert "judge knows none" in what_is_seen_over(finished(scores), worth_by_step(finished(scores)), 0)


def test_a_gain_is_measured_within_prompts_so_that_few_lucky_ones_prove_nothing():
    scores = np.tile([[[3.0, 2.0, 1.0]]], (2, 8, 1))
    found = finished(scores, [[True, True, False]] + [[True] * 3] * 7)
    row = worth_by_step(found)[0]
    assert row.right.low < 0.7 and row.gain.value == pytest.approx(1 / 24) and row.gain.low < 0 < row.gain.high
    assert "not distinguishable from chance" in what_is_seen_over(found, [row], 0)
