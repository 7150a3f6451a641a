"""The figure of fewer steps: a panel per measure of quality, a line per number of steps, a ring around the choice."""

import pytest

from dream.evaluation.painted.front import DISTANCE, FrontPoint, front_measures
from dream.evaluation.results import Results
from dream.evaluation.statistics import Estimate
from tests.workbench.evaluate.sample_results import entry
from workbench.figures.front import front_info, plot_front


def result(name):
    def about(value):
        return Estimate(value, value - 0.05, value + 0.05, 100)

    points = [
        FrontPoint(steps, denoising, about(steps * denoising / 100), {"thing": about(0.5)}, about(3.0))
        for steps in (16, 8)
        for denoising in (8, 4)
    ]
    return Results(name, "", (entry("front", front_measures(points, {"data": "shapes"})),))


def test_each_measure_of_quality_has_a_panel_with_the_choice_among_its_points():
    found = front_info([result("a")])
    assert [panel.title for panel, _ in found] == ["thing right", DISTANCE]
    for panel, chosen in found:
        assert [(point.name, point.at) for point in panel.points] == [
            ("16 steps", 1.28),
            ("16 steps", 0.64),
            ("8 steps", 0.64),
            ("8 steps", 0.32),
        ]
        assert chosen == panel.points[-1], "all are as good, so the fastest one"


def test_the_figure_has_a_line_per_number_of_steps_and_a_ring_per_panel():
    figure = plot_front([result("a"), result("<b>x</b>")])
    drawn = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert len(drawn) == 2 * 4 and {trace.name for trace in drawn} == {"16 steps", "8 steps"}
    assert len([trace for trace in figure.data if trace.mode == "markers"]) == 4
    assert "&lt;b&gt;" in figure.layout.annotations[-1].text, "names of models are text"


@pytest.mark.parametrize("nothing", [[], [Results("a", "")]])
def test_nothing_is_a_figure_that_says_what_to_do(nothing):
    figure = plot_front(nothing)
    assert not figure.data and "dream evaluate" in figure.layout.annotations[0].text


def test_another_way_or_model_is_a_line_of_its_own():
    estimate = Estimate(1.0, 0.9, 1.1, 10)
    points = [
        FrontPoint(8, 4, estimate, {"thing": estimate}, estimate),
        FrontPoint(8, 4, estimate, {"thing": estimate}, estimate, way="heun"),
        FrontPoint(8, 1, estimate, {"thing": estimate}, estimate, model="few"),
    ]
    found = front_info([Results("a", "", (entry("front", front_measures(points, {})),))])
    assert [point.name for point in found[0][0].points] == ["8 steps", "8 steps, heun", "8 steps, few"]
