"""Expectations over smaller sets of candidates, against going through every set."""

from itertools import combinations

import numpy as np
import pytest

from dream.evaluation.painted.choices import any_hit, between, choice_weights, rank_correlations, ranks, value_of_choice


def arrays(prompts=6, count=7, values=9):
    """Scores with ties, and which candidates are right."""
    draws = np.random.default_rng(0)
    return draws.integers(0, values, (prompts, count)), draws.random((prompts, count)) < 0.4


def of_every_set(scores, values, size):
    """(P,): the value of the best scored (ties by shares), over all sets of `size`."""
    found = []
    for s, v in zip(scores, values, strict=True):
        sets = [list(each) for each in combinations(range(len(s)), size)]
        found.append(np.mean([v[each][s[each] == s[each].max()].mean() for each in sets]))
    return found


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("values", [2, 9, 1000])
def test_the_choice_among_fewer_is_the_mean_over_every_set(size, values):
    scores, right = arrays(values=values)
    np.testing.assert_allclose(value_of_choice(scores, right, size), of_every_set(scores, right, size), atol=1e-12)
    np.testing.assert_allclose(choice_weights(scores, size).sum(1), 1)


@pytest.mark.parametrize("size", range(1, 8))
def test_a_hit_in_fewer_is_the_mean_over_every_set(size):
    _, right = arrays()
    sets = [list(each) for each in combinations(range(right.shape[1]), size)]
    np.testing.assert_allclose(any_hit(right, size), np.mean([right[:, s].any(1) for s in sets], 0))


def test_one_candidate_is_a_random_one_and_all_of_them_have_one_best():
    scores, right = arrays(values=1000)
    np.testing.assert_allclose(value_of_choice(scores, right, 1), right.mean(1))
    np.testing.assert_array_equal(value_of_choice(scores, right), right[np.arange(6), scores.argmax(1)])


def test_ties_are_settled_by_chance():
    right = np.array([[True, False, False, True]])
    assert value_of_choice(np.zeros((1, 4)), right)[0] == 0.5
    assert value_of_choice(np.array([[0.0, 1.0, 1.0, 1.0]]), right)[0] == pytest.approx(1 / 3)


def test_sixteen_candidates_are_counted_to_the_end():
    """C(16, 8) sets; an oracle's choice among any of them is a hit if there is one."""
    right = np.random.default_rng(1).random((50, 16)) < 0.2
    for size in range(1, 17):
        np.testing.assert_allclose(value_of_choice(right, right, size), any_hit(right, size), atol=1e-12)


def test_more_than_there_are_cannot_be_chosen_among():
    with pytest.raises(ValueError, match=r"\[1, 7\], got 8"):
        value_of_choice(*arrays(), 8)


def test_a_budget_between_whole_numbers_is_shared_out():
    _, right = arrays()

    def some(size):
        return any_hit(right, size)

    np.testing.assert_allclose(between(some, 2.25), 0.75 * some(2) + 0.25 * some(3))
    np.testing.assert_allclose(between(some, 7.0), some(7))


def test_rank_correlation_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    first, _ = arrays(40)
    second = first + np.random.default_rng(3).integers(0, 9, first.shape)
    np.testing.assert_allclose(ranks(first), stats.rankdata(first, axis=1))
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(first, second, strict=True)]
    np.testing.assert_allclose(rank_correlations(first, second), expected)


def test_a_constant_score_has_no_rank_correlation():
    assert np.isnan(rank_correlations([[1.0, 1.0, 1.0]], [[1.0, 2.0, 3.0]])).all()
