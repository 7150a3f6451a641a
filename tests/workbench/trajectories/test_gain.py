"""The gain of choosing, told as prompts of a hundred."""

import numpy as np

from tests.workbench.trajectories.trajectory_small import finished
from workbench.trajectories.gain import gain_html, gain_of
from workbench.trajectories.worth import worth_by_step

SCORES = np.array([[[0.9, 0.1]] * 4, [[0.9, 0.1]] * 4])


def test_of_a_hundred_prompts_those_of_a_random_and_of_the_chosen_candidate_come_out_right():
    found = finished(SCORES, [[True, False]] * 3 + [[False, True]])
    gain = gain_of(found, worth_by_step(found)[0])
    assert gain is not None and (gain.without, gain.chosen, gain.step) == (50, 75, 1)
    assert gain.low < 25 < gain.high
    shown = gain_html(gain)
    assert "<b>50</b>" in shown and "<b>75</b>" in shown and shown.count("background:#") == 125
    assert "+25" in shown and f"in {gain.times:.1f} times the time" in shown


def test_without_a_judge_there_is_no_such_gain():
    found = finished(SCORES)
    assert gain_of(found, worth_by_step(found)[0]) is None
