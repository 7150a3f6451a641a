"""Simulated coverage: each kind of interval holds the truth as often as it promises, or is not given.

A row of the table is a kind of estimate with the distributions that it meets, simulated at several numbers of rows.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest

from dream.evaluation import intervals
from dream.evaluation.painted.frechet import FEWEST_PICTURES, frechet_estimate, overlap
from dream.evaluation.statistics import (
    auc,
    combined,
    mean,
    mean_of_ratios,
    mean_share,
    pooled_share,
    rate,
    share,
    two_set_mean,
    two_set_share,
)

PROMISED, PLACE, WORST = 0.93, 0.915, 0.9
"""Least coverage over a kind's table, at any place of it in 1,500 data sets, and in 150 of two sets of pictures."""
COUNTS = (3, 10, 30, 100)
SHARES = (0.02, 0.1, 0.5, 0.9)

Draw = Callable[[np.random.Generator, int, int], np.ndarray]


class Law(NamedTuple):
    """A distribution of the rows."""

    draw: Draw
    """(sets, n[, ...]) rows from a generator, a number of data sets and of rows."""
    truth: float


class Kind(NamedTuple):
    """A kind of interval, and the laws and numbers of rows that it must hold for."""

    ends: Callable[[np.ndarray], intervals.Ends]
    laws: dict[str, Law]
    counts: tuple[int, ...] = COUNTS


def coin(p: float) -> Law:
    return Law(lambda draws, sets, n: draws.random((sets, n)) < p, p)


def beta(p: float, alike: float, tosses: int | None = None) -> Law:
    """Shares of rows, e.g. of a prompt's candidates or a picture's pixels; `alike` is the correlation within a row."""
    a = (1 - alike) / alike

    def draw(draws: np.random.Generator, sets: int, n: int) -> np.ndarray:
        own = draws.beta(p * a, (1 - p) * a, (sets, n))
        return own if tosses is None else draws.binomial(tosses, own) / tosses

    return Law(draw, p)


def areas(p: float, alike: float, spread: float) -> Law:
    """(sets, n, 2): right and all pixels of a class that has a different size in each picture."""

    def draw(draws: np.random.Generator, sets: int, n: int) -> np.ndarray:
        size = draws.lognormal(0, spread, (sets, n))
        return np.stack([size * beta(p, alike).draw(draws, sets, n), size], -1)

    return Law(draw, p)


def paired(won: float, lost: float) -> Law:
    def draw(draws: np.random.Generator, sets: int, n: int) -> np.ndarray:
        place = draws.random((sets, n))
        return (place < won) * 1.0 - (place > 1 - lost)

    return Law(draw, won - lost)


def lognormal(spread: float) -> Law:
    return Law(lambda draws, sets, n: draws.lognormal(0, spread, (sets, n)), math.exp(spread**2 / 2))


def rare(p: float) -> Law:
    return Law(lambda draws, sets, n: draws.exponential(1, (sets, n)) * (draws.random((sets, n)) < p), p)


def ratio_ends(parts: np.ndarray) -> intervals.Ends:
    value = parts[..., 0].sum(-1) / parts[..., 1].sum(-1)
    moves = (parts[..., 0] - value[:, None] * parts[..., 1]) / parts[..., 1].mean(-1, keepdims=True)
    return intervals.share_ends(value, moves, parts[..., 1])


def shares_ends(values: np.ndarray) -> intervals.Ends:
    value = values.mean(-1)
    return intervals.share_ends(value, values - value[:, None])


NORMAL = Law(lambda draws, sets, n: draws.normal(1, 2, (sets, n)), 1)
UNIFORM = Law(lambda draws, sets, n: draws.random((sets, n)), 0.5)
EXPONENTIAL = Law(lambda draws, sets, n: draws.exponential(1, (sets, n)), 1)
HEAVY = Law(lambda draws, sets, n: draws.standard_t(3, (sets, n)), 0)
MIXTURE = Law(lambda draws, sets, n: draws.normal(0, 1, (sets, n)) + 5 * (draws.random((sets, n)) < 0.1), 0.5)
AVERAGES = Law(lambda draws, sets, n: draws.exponential(1, (sets, n, 50)).mean(-1), 1)
ROUNDED = Law(lambda draws, sets, n: draws.binomial(256, 0.8, (sets, n)) / 256, 0.8)

KINDS = {
    "share of hits": Kind(
        lambda hits: intervals.wilson_ends(hits.mean(-1), hits.shape[-1]),
        {f"p {p:g}": coin(p) for p in (0.002, 0.005, *SHARES, 0.98)},
        (1, 2, *COUNTS, 1000),
    ),
    "mean of shares": Kind(
        shares_ends,
        {
            f"p {p:g}, alike {alike:g}, {tosses} tosses": beta(p, alike, tosses)
            for p in SHARES
            for alike, tosses in ((0.02, 64), (0.1, 8), (0.3, 8), (0.3, None), (0.7, None), (0.7, 64))
        },
    ),
    "ratio of sums": Kind(
        ratio_ends,
        {f"p {p:g}, alike {a:g}, sizes {s:g}": areas(p, a, s) for p in SHARES for a in (0.02, 0.3) for s in (0.5, 1.0)},
    ),
    "paired differences": Kind(
        intervals.difference_ends,
        {
            f"{won:g} won, {lost:g} lost": paired(won, lost)
            for won, lost in ((0, 0), (0.02, 0), (0.02, 0.02), (0.1, 0), (0.1, 0.1), (0.3, 0.02), (0.5, 0.1), (0.9, 0))
        },
    ),
    "mean of any values": Kind(
        intervals.mean_ends,
        {
            "normal": NORMAL,
            "uniform": UNIFORM,
            "exponential": EXPONENTIAL,
            "lognormal 0.5": lognormal(0.5),
            "lognormal 1": lognormal(1.0),
            "heavy tails": HEAVY,
            "mixture": MIXTURE,
            "half zeros": rare(0.5),
            "rare": rare(0.1),
        },
        (3, 8, 10, 15, 30, 100),
    ),
    "mean of averages": Kind(
        intervals.student_ends, {"normal": NORMAL, "averages": AVERAGES, "shares of 256": ROUNDED}, (2, *COUNTS)
    ),
}


def coverage(kind: Kind, sets: int) -> dict[tuple[str, int], float]:
    """Share of data sets whose interval holds the truth, or that have none, by law and number of rows."""
    draws = np.random.default_rng(0)
    found = {}
    for n in kind.counts:
        for name, law in kind.laws.items():
            low, high = kind.ends(law.draw(draws, sets, n))
            found[name, n] = float(1 - ((low > law.truth + 1e-12) | (high < law.truth - 1e-12)).mean())
    return found


def holds(found: dict, worst: float = PLACE) -> None:
    assert np.mean(list(found.values())) >= PROMISED
    assert {place: value for place, value in found.items() if value < worst} == {}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_interval_holds_what_it_promises(name):
    holds(coverage(KINDS[name], 1500))


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_interval_holds_what_it_promises_in_many_data_sets(name):
    kind = KINDS[name]
    more = tuple(sorted({*kind.counts, 4, 5, 7, 12, 20, 50, 300}))
    holds(coverage(kind._replace(counts=more), 10_000))


def test_means_of_arbitrary_values_have_intervals_from_eight_rows_if_enough_of_them_differ():
    draws = np.random.default_rng(0)
    for law in (NORMAL, EXPONENTIAL, lognormal(1.0)):
        assert np.isnan(intervals.mean_ends(law.draw(draws, 9, 7))[0]).all()
        assert np.isfinite(intervals.mean_ends(law.draw(draws, 9, 8))[0]).all()
    few = np.zeros((1, 100))
    few[0, : intervals.FEWEST_OTHERS - 1] = [1, 2, 3, 4]
    assert np.isnan(intervals.mean_ends(few)[0]).all()
    assert np.isnan(intervals.mean_ends(np.ones((1, 50)))[0]).all()


# widths


def test_shares_are_as_narrow_as_the_exact_interval():
    stats = pytest.importorskip("scipy.stats")
    for n in (3, 10, 30, 100, 1000):
        for hits in {0, 1, n // 10, n // 2, n}:
            exact = stats.binomtest(hits, n).proportion_ci()
            low, high = intervals.wilson_ends(hits / n, n)
            assert float(high - low) <= 1.1 * (exact.high - exact.low)


@pytest.mark.parametrize(("n", "most"), [(8, 1.5), (10, 1.35), (30, 1.15), (100, 1.05)])
def test_normal_values_have_hardly_wider_intervals_than_students(n, most):
    values = NORMAL.draw(np.random.default_rng(0), 500, n)
    wide, exact = ((high - low) for low, high in (intervals.mean_ends(values), intervals.student_ends(values)))
    assert np.median(wide / exact) <= most


def test_shares_of_independent_tosses_are_hardly_wider_than_if_the_tosses_were_counted():
    draws = np.random.default_rng(0)
    for p in SHARES:
        values = draws.binomial(64, p, (300, 20)) / 64
        wide = [mean_share(row, trials=64) for row in values]
        exact = [share(np.arange(64 * 20) < round(64 * 20 * row.mean())) for row in values]
        assert np.median([(a.high - a.low) / (b.high - b.low) for a, b in zip(wide, exact, strict=True)]) <= 1.5


# whole estimates, whose rows are not one number each


def held(estimates, truth: float) -> float:
    return float(np.mean([not (e.low > truth or e.high < truth) for e in estimates]))


@pytest.mark.parametrize("pools", [10, 20])
@pytest.mark.parametrize("spread", [0.3, 0.6, 1.0])
def test_recall_over_pools_holds_the_recall_of_many_pools(pools, spread):
    draws = np.random.default_rng(1)

    def hits(count: int) -> np.ndarray:
        pictures = draws.normal(size=(count, 32, 6))
        captions = pictures + spread * draws.normal(size=pictures.shape)
        unit = [x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (pictures, captions)]
        similarity = unit[0] @ unit[1].swapaxes(1, 2)
        return similarity.argmax(1) == np.arange(32)

    truth = hits(3000).mean()
    assert held([pooled_share(hits(pools)) for _ in range(300)], truth) >= PROMISED
    assert held([share(hits(1)) for _ in range(300)], truth) >= PROMISED  # one pool: over queries


@pytest.mark.parametrize("prompts", [4, 12, 48, 200])
@pytest.mark.parametrize("gain", [0.0, 1.0, 3.0])
def test_auc_over_prompts_holds_the_auc_of_many_prompts(prompts, gain):
    draws = np.random.default_rng(2)

    def candidates(count: int) -> tuple[np.ndarray, np.ndarray]:
        right = draws.random((count, 8)) < draws.beta(1, 1, (count, 1))
        return draws.normal(size=right.shape) + gain * right + draws.normal(size=(count, 1)), right

    truth = auc(*candidates(20_000)).value
    assert held([auc(*candidates(prompts)) for _ in range(300)], truth) >= PROMISED


@pytest.mark.parametrize("pictures", [10, 30, 100])
def test_mean_iou_holds_the_iou_of_all_classes_the_rare_ones_too(pictures):
    draws = np.random.default_rng(3)
    seen = np.array([1.0, 1.0, 0.6, 0.3, 0.1, 0.03])
    true = np.array([0.9, 0.5, 0.7, 0.4, 0.6, 0.3])

    def parts() -> np.ndarray:
        there = draws.random((pictures, 6)) < seen
        there[draws.integers(pictures, size=6), np.arange(6)] = True  # every class is in some picture
        union = draws.lognormal(0, 0.7, there.shape) * there
        good = draws.beta(3 * true, 3 * (1 - true), there.shape)
        return np.stack([good * union, union], 1)

    assert held([mean_of_ratios(parts()) for _ in range(400)], true.mean()) >= PROMISED


@pytest.mark.parametrize("batches", [2, 4, 20])
def test_speed_holds_the_speed_of_many_batches(batches):
    draws = np.random.default_rng(4)
    sizes = np.full(batches, 128.0)
    sizes[-1] = 50

    def times() -> np.ndarray:
        return np.stack([sizes, 0.1 * sizes * draws.lognormal(0, 0.1, batches)], 1)

    assert held([rate(times()) for _ in range(1000)], 10 / math.exp(0.005)) >= PROMISED


def test_a_mean_over_sets_holds_the_mean_of_their_truths():
    draws, truths = np.random.default_rng(5), np.array([0.3, 0.8, 0.95])
    found = [combined([share(draws.random(60) < p) for p in truths]) for _ in range(1000)]
    assert held(found, truths.mean()) >= PROMISED


def pictures(draws: np.random.Generator, count: int, width: int, shift: float) -> np.ndarray:
    return draws.normal(size=(count, width)) + shift / math.sqrt(width)


@pytest.mark.parametrize("count", [10, 30, 100])
@pytest.mark.parametrize(("width", "shift"), [(2, 1.0), (8, 0.0), (8, 2.0), (32, 1.0)])
def test_overlap_of_two_sets_holds_the_overlap_at_these_sizes(count, width, shift):
    draws = np.random.default_rng(6)
    found = [overlap(pictures(draws, count, width, 0), pictures(draws, count, width, shift)) for _ in range(150)]
    for name in ("precision", "recall", "coverage", "density"):
        estimate = two_set_mean if name == "density" else two_set_share
        estimates = [estimate(getattr(one, name), getattr(one.moves, name)) for one in found]
        assert held(estimates, np.mean([e.value for e in estimates])) >= WORST


@pytest.mark.parametrize(("width", "shift"), [(4, 0.0), (8, 1.0), (40, 1.0)])
def test_frechet_distance_holds_its_mean_at_these_sizes_and_has_no_interval_for_few_pictures(width, shift):
    draws = np.random.default_rng(7)
    held_by_count = []
    for count in (FEWEST_PICTURES, 30, 100):
        found = [
            frechet_estimate(
                np.exp(pictures(draws, count, width, 0) / 2), np.exp(pictures(draws, count, width, shift) / 2)
            )
            for _ in range(150)
        ]
        held_by_count.append(held(found, np.mean([e.value for e in found])))
    assert np.mean(held_by_count) >= PROMISED and min(held_by_count) >= WORST
    few = pictures(draws, FEWEST_PICTURES - 1, width, 0)
    assert not frechet_estimate(few, few + 1).has_interval


def test_a_mean_takes_the_interval_of_a_share_for_two_values():
    found = mean(np.arange(20) < 3)
    assert (found.low, found.high) == (share(np.arange(20) < 3).low, share(np.arange(20) < 3).high)
    assert found.kind == "wilson" and not mean(np.ones(30)).has_interval
