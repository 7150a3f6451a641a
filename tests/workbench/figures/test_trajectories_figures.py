"""Candidates keep their colour, lines end where candidates were dropped, and both axes are named."""

import numpy as np
import pytest

from tests.workbench.trajectories.trajectory_small import finished, race
from workbench import palette
from workbench.figures.trajectories import AUC, RANK, plan_ticks, plot_race, plot_worth, race_info, worth_info
from workbench.trajectories.worth import worth_by_step

ONCE = race([[1, 1, 1], [0, 1, 0]], [[0, 1, 0], [0, 1, 0]], [[0.1, 0.3, 0.2], [0, 0.4, 0]])


def test_a_line_ends_where_its_candidate_was_dropped():
    lines = race_info(ONCE)
    assert [(len(line.steps), line.dropped) for line in lines] == [(1, True), (2, False), (1, True)]


def test_candidates_keep_their_colour_and_the_winner_is_bold():
    figure = plot_race(ONCE)
    assert [t.line.color for t in figure.data] == [palette.candidate_colour(k) for k in range(3)]
    assert [t.line.width > 3 for t in figure.data] == [False, True, False]
    assert figure.data[0].marker.symbol[-1] == "x"
    assert len(figure.layout.shapes) == 1 and figure.layout.shapes[0].x0 == ONCE.decoded[0]


def test_candidates_beyond_the_colours_are_dotted():
    many = race(np.ones((1, 18)), np.ones((1, 18)), np.arange(18)[None])
    assert [t.line.dash for t in plot_race(many).data] == ["solid"] * 16 + ["dot"] * 2


def test_draws_of_every_step_are_marks_along_the_line_that_was_kept():
    drawn = race([[1, 0], [1, 1]], [[1, 0], [0, 1]], [[0.1, 0], [0.2, 0.3]], selection="every", steps=2)
    figure = plot_race(drawn)
    assert [t.mode for t in figure.data] == ["markers", "markers", "lines"]
    assert list(figure.data[2].y) == pytest.approx([0.1, 0.3])


def test_ticks_name_share_and_steps():
    ticks = plan_ticks([1, 2, 4], [0.04, 0.3, 1.0])
    assert ticks["ticktext"] == ["4 %<br>step 1", "30 %<br>step 2", "100 %<br>step 4"]
    figure = plot_race(ONCE)
    assert "tokens" in figure.layout.xaxis.title.text and "steps" in figure.layout.xaxis.title.text
    assert "cosine" in figure.layout.yaxis.title.text


def test_panels_are_those_that_there_are_numbers_for():
    scores = np.random.default_rng(0).random((2, 4, 3))
    judged, unjudged = finished(scores, np.eye(4, 3)), finished(scores)
    assert len(worth_info(judged, worth_by_step(judged))) == 5
    axes = [panel.axis for panel in worth_info(unjudged, worth_by_step(unjudged))]
    assert axes == [RANK, "regret (cosine)", "cost (relative to one plain picture)"]
    one = finished(scores[:, :1], [[True, False, True]])
    assert [p.axis for p in worth_info(one, worth_by_step(one))][2] == AUC


def test_every_panel_marks_the_choice_and_has_units():
    scores, once = np.random.default_rng(0).random((3, 4, 3)), (1.0,) * 3
    found = finished(scores, np.eye(4, 3), seconds=once, plain=once)
    figure = plot_worth(found, worth_by_step(found), marked=1 / 3)
    assert sum(shape.x0 == 1 / 3 for shape in figure.layout.shapes) == 5
    assert "means over 4 prompts" in figure.layout.title.text
    axes = [text for axis in figure.select_yaxes() if (text := axis.title.text)]
    assert len(axes) == 5  # of the six places one is empty
    assert "one plain picture" in {trace.name for trace in figure.data}


def test_nothing_to_draw_is_said():
    assert "Nothing" in plot_race(None).layout.annotations[0].text
    assert "finished" in plot_worth(None, []).layout.annotations[0].text
