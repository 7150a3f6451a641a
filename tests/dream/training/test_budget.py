"""Minutes into steps: the arithmetic, on made-up costs."""

import pytest

from dream.training import budget

COST = budget.StepCost(budget.PROGRESS_POINTS, (1.0, 2.0, 2.0, 2.0, 3.0))


def total(done: int, steps: int, schedule: int) -> float:
    return sum(float(COST.at(min(1.0, k / schedule))) for k in range(done, done + steps))


def test_a_whole_schedule_takes_the_mean_cost():
    assert COST.mean == 2.0
    steps = budget.steps_within(COST, 1000.0)
    assert steps == 500
    assert total(0, steps, steps) == pytest.approx(1000, rel=0.01)


@pytest.mark.parametrize(("done", "seconds"), [(0, 50.0), (80, 10.0), (80, 400.0), (100, 30.0), (250, 30.0)])
def test_going_on_counts_the_cost_of_the_steps_that_are_left(done, seconds):
    steps = budget.steps_within(COST, seconds, done, 100)
    assert total(done, steps, 100) == pytest.approx(seconds, abs=3.0)


def test_there_is_always_a_step_to_do():
    assert budget.steps_within(COST, -5.0) == 1
    assert budget.steps_within(COST, 0.0, 100, 100) == 1


def test_measuring_warms_up_then_covers_every_point_equally():
    seen = []
    budget.measure_steps(lambda number, progress: seen.append((number, progress)), 0.01)
    assert [number for number, _ in seen] == list(range(len(seen)))
    measured = [progress for _, progress in seen[2:]]
    assert {measured.count(point) for point in budget.PROGRESS_POINTS} == {len(measured) // 5}


@pytest.mark.parametrize("count", [1, 3, 8])
def test_events_are_spread_over_each_leg_and_fall_on_its_end(count):
    segments = (100, 130)
    due = [step for step in range(1, 131) if budget.is_due(step, segments, count)]
    assert len(due) == 2 * count
    assert {100, 130} <= set(due)
    assert not budget.is_due(0, segments, count)


def test_no_events_where_none_are_wanted():
    assert not any(budget.is_due(step, (10,), 0) for step in range(20))


def test_only_an_end_beyond_the_plan_is_a_new_leg():
    assert budget.extended((100,), 80) == (100,)
    assert budget.extended((100,), 100) == (100,)
    assert budget.extended((100,), 120) == (100, 120)


def test_a_short_run_validates_less():
    assert budget.affordable(8, 1.0, 600.0) == 8
    assert budget.affordable(8, 1.0, 30.0) == 3
    assert budget.affordable(8, 10.0, 30.0) == 0


def test_measuring_takes_a_small_share_within_bounds():
    assert [budget.calibration_seconds(s) for s in (10, 600, 36000)] == [3, 18, 30]


def test_checkpoints_come_as_rarely_as_their_share_of_the_time_allows():
    assert budget.save_interval(2.0, 1.0) == 120
    assert budget.save_interval(2.0, 39.0) == pytest.approx(1300)
    assert 39.0 / budget.save_interval(2.0, 39.0) == pytest.approx(budget.SAVING_SHARE)
