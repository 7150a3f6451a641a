"""Figures of trainings: units on every axis, a colour a loss, and a word where there is nothing to draw."""

import itertools
import math

import plotly.graph_objects as go
import pytest

from workbench import palette
from workbench.figures import training as one
from workbench.figures.training_parts import apart, ratio_colour
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
    assert names[2:4] == ["generative loss, unsmoothed", "generative loss"]
    assert list(figure.data[1].x) == [640, 1280, 1920]
    assert figure.data[1].line.color == one.CONTRAST and figure.data[3].line.color == one.GENERATION
    assert len(one.plot_losses(CURVES, smoothing=0.0).data) == 3


@pytest.mark.parametrize("log", [False, True])
def test_the_loss_of_guessing_is_drawn_and_named_for_the_pictures_that_take_part(log):
    figure = one.plot_losses(CURVES, log=log)
    (line,) = (trace for trace in figure.data if trace.name.startswith("chance"))
    expected = (math.log(64) + math.log(0.8 * 64)) / 2  # all captions, and the 80 % of the pictures that count
    assert list(line.y) == pytest.approx([expected] * 3)
    assert "chance" in [a.text for a in figure.layout.annotations]
    checked = [trace for trace in one.plot_by_ratio(CURVES).data if trace.name.startswith("chance")]
    assert list(checked[0].y) == pytest.approx([math.log(64)] * 2)


def test_micro_batches_are_compared_each_by_itself():
    assert curves_of(ROWS, batch_size=64, accumulate=4).chance[0] == pytest.approx((math.log(16) + math.log(12.8)) / 2)


@pytest.mark.parametrize(
    ("losses", "steps"),
    [([4.1] * 30, 300), ([4.1] * 20 + [1.0] * 10, 0), ([1.0] * 10 + [40.0] * 20, 200), ([None] * 30, 0), ([], 0)],
)
def test_steps_at_chance_are_counted_back_from_the_last(losses, steps):
    rows = [{**ROWS[0], "step": 10 * (i + 1), "contrastive_loss": loss} for i, loss in enumerate(losses)]
    assert curves_of(rows, batch_size=64).steps_at_chance == steps


@pytest.mark.parametrize("values", [[1.0], [1.0, None, 2.0], [None, 3.0, None], [1.0, 2.0, None, 3.0]])
def test_a_value_without_a_neighbour_gets_a_mark(values):
    known = [None, *values, None]
    alone = [v is not None and a is None and b is None for a, v, b in zip(known, known[1:], known[2:], strict=False)]
    rows = [{**ROWS[0], "step": 10 * (i + 1), "generative_loss": value} for i, value in enumerate(values)]
    for trace in one.plot_losses(curves_of(rows)).data:
        if trace.name.startswith("generative"):
            assert trace.mode == "lines+markers" and [size > 0 for size in trace.marker.size] == alone


@pytest.mark.parametrize("log", [False, True])
def test_lines_that_look_alike_are_named_at_their_ends_apart_from_each_other(log):
    bands = {f"{i / 10:.1f}-{(i + 1) / 10:.1f}": 1.0 + 0.001 * i for i in range(10)}
    rows = [{**row, "generative_by_ratio": bands} for row in ROWS if row["kind"] == "train"]
    figure = one.plot_by_ratio(curves_of(rows), log=log)
    names = [a for a in figure.layout.annotations if a.xref == "x" and a.text.endswith("%")]
    assert {name.text for name in names} == {f"{10 * i}–{10 * i + 10} %" for i in range(10)}
    assert not figure.layout.showlegend and len({name.font.color for name in names}) == 10


@pytest.mark.parametrize("places", [[0.0], [5.0, 5.0, 5.0], [0.0, 3.0, 50.0, 51.0], [9.0, 1.0, 4.0], list(range(20))])
def test_names_are_moved_apart_in_their_order(places):
    moved = apart(places, 13)
    ordered = [moved[i] for i in sorted(range(len(places)), key=lambda i: places[i])]
    assert all(b - a >= 13 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert sum(moved) == pytest.approx(sum(places))


def test_a_loss_that_is_not_trained_is_said_to_be_none():
    rows = [{**row, "contrastive_loss": None} for row in ROWS]
    texts = [a.text for a in one.plot_losses(curves_of(rows)).layout.annotations]
    assert "not trained" in texts


def test_a_mask_ratio_keeps_its_colour_and_no_two_share_one():
    assert len({ratio_colour(ratio / 10) for ratio in range(11)}) == 11
    assert ratio_colour(-1) == ratio_colour(0) and ratio_colour(2) == ratio_colour(1)


def test_runs_lie_over_each_other_each_in_its_colour_with_its_name_at_its_lines():
    other = curves_of(ROWS[:2], "<b>other</b>", 32)
    figure = plot_runs([CURVES, other], {"run": ORANGE, "<b>other</b>": BLUE}, smoothing=0.5)
    named = [a.text for a in figure.layout.annotations if a.xanchor == "left"]
    assert named.count("run") == 3 and "&lt;b&gt;other&lt;/b&gt;" in named and not figure.layout.showlegend
    assert {trace.line.color for trace in figure.data if trace.name == "&lt;b&gt;other&lt;/b&gt;"} == {BLUE}
    pale = [t for t in figure.data if t.name.endswith("unsmoothed")]
    assert len(pale) == 4 and not plot_runs([CURVES], {"run": ORANGE}, raw=False).data[0].name.endswith("unsmoothed")
    assert plot_runs([], {}).layout.annotations[0].text
