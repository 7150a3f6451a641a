"""Figures of trainings: units on every axis, a colour a loss, and a word where there is nothing to draw."""

import plotly.graph_objects as go
import pytest

from workbench import palette
from workbench.figures import training as one
from workbench.figures.training_parts import ratio_colour
from workbench.figures.training_runs import plot_runs
from workbench.runs.curves import Curves, curves_of

ORANGE, BLUE = palette.candidate_colour(0), palette.candidate_colour(1)
ROWS = [
    {
        "kind": "train",
        "step": step,
        "contrastive_loss": 4.0 / step,
        "generative_loss": 1.0 / step,
        "generative_share": 0.5,
        "contrastive_share": 0.8,
        "generative_by_ratio": {"0.5-0.6": 1.0, "0.9-1.0": 2.0},
        "mask_ratios": [0.1, 0.6, 0.9],
        "grad_norm": 3.0,
        "lr": 1e-3,
        "samples_per_second": 100.0,
    }
    for step in (10, 20, 30)
] + [
    {
        "kind": "validation",
        "step": step,
        "loss": 1.0,
        "generative_by_ratio": {"0.75": 1.0},
        "contrastive_by_ratio": {"0.00": 0.5},
        "text_to_image_r1_at_0.00": 0.5,
        "retrieval_among": 64,
    }
    for step in (0, 30)
]
CURVES = curves_of(ROWS, "run", 64)
ALL = [
    lambda c, axis: one.plot_losses(c, axis),
    lambda c, axis: one.plot_by_ratio(c, axis),
    lambda c, axis: one.plot_ratios(c, 0.5, 0.75, axis),
    lambda c, axis: one.plot_counted_shares(c, axis),
    lambda c, axis: one.plot_retrieval(c, axis),
    lambda c, axis: one.plot_gradients(c, 1.0, axis),
    lambda c, axis: one.plot_speed(c, axis),
    lambda c, axis: plot_runs([c], {"run": ORANGE}, axis),
]


@pytest.mark.parametrize("plot", ALL)
@pytest.mark.parametrize("axis", ["steps", "minutes", "pictures"])
def test_every_axis_has_a_title_and_zoom_outlives_new_numbers(plot, axis):
    figure = plot(CURVES, axis)
    axes = [*figure.select_xaxes(), *figure.select_yaxes()]
    hidden = {"y2"} if plot is ALL[2] else set()  # shared with its neighbour
    assert all(a.title.text or a.plotly_name.replace("axis", "") in hidden for a in axes)
    assert figure.layout.uirevision == "kept" and len(figure.data) > 0


@pytest.mark.parametrize("plot", ALL[:-1])
def test_before_the_first_line_a_figure_says_what_comes(plot):
    figure = plot(Curves(), "steps")
    assert isinstance(figure, go.Figure) and figure.layout.annotations[0].text and not figure.data


def test_losses_are_shown_unsmoothed_and_smoothed_over_the_chosen_axis():
    figure = one.plot_losses(CURVES, "pictures", smoothing=0.5)
    names = [trace.name for trace in figure.data]
    assert names[:2] == ["contrastive loss, unsmoothed", "contrastive loss"]
    assert names[2:] == ["generative loss, unsmoothed", "generative loss"]
    assert list(figure.data[1].x) == [640, 1280, 1920]
    assert figure.data[1].line.color == one.CONTRAST and figure.data[3].line.color == one.GENERATION
    assert len(one.plot_losses(CURVES, smoothing=0.0).data) == 2


def test_a_loss_that_is_not_trained_is_said_to_be_none():
    rows = [{**row, "contrastive_loss": None} for row in ROWS]
    texts = [a.text for a in one.plot_losses(curves_of(rows)).layout.annotations]
    assert "not trained" in texts


def test_a_mask_ratio_keeps_its_colour_and_no_two_share_one():
    assert len({ratio_colour(ratio / 10) for ratio in range(11)}) == 11
    assert ratio_colour(-1) == ratio_colour(0) and ratio_colour(2) == ratio_colour(1)


def test_runs_lie_over_each_other_once_in_the_legend_each_in_its_colour():
    other = curves_of(ROWS[:2], "other", 32)
    figure = plot_runs([CURVES, other], {"run": ORANGE, "other": BLUE}, smoothing=0.5)
    assert [trace.name for trace in figure.data if trace.showlegend] == ["run", "other"]
    assert {trace.line.color for trace in figure.data if trace.name == "other"} == {BLUE}
    pale = [t for t in figure.data if t.name.endswith("unsmoothed")]
    assert len(pale) == 4 and not plot_runs([CURVES], {"run": ORANGE}, raw=False).data[0].name.endswith("unsmoothed")
    assert plot_runs([], {}).layout.annotations[0].text
