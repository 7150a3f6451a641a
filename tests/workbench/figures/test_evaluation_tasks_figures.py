"""Figures of single tasks: losses, retrieval and edits by mask ratio, robustness, and what choosing costs."""

import math

import pytest

from dream.evaluation.results import Results
from dream.evaluation.statistics import Estimate, Measure
from tests.workbench.evaluate.sample_results import RATIOS, all_results, entry, estimate, named, results
from workbench.figures.by_ratio import COMBINATIONS, plot_edits, plot_losses_by_ratio, plot_retrieval_by_ratio
from workbench.figures.measured import ModelStyles, chance_of, span_of
from workbench.figures.panels import Point
from workbench.figures.robustness import plot_robustness, robustness_info
from workbench.figures.selection import plot_selection, plot_selection_cost, selection_cost_info

KINDS = ("none", "unseen", "noise")


def losses(good: float) -> list[Measure]:
    return [
        Measure("losses", name, {"mask_ratio": ratio} | where, estimate(good + ratio))
        for ratio in RATIOS
        for name, where in (("generative loss", {}), ("contrastive loss", {"pool": 64}), ("alignment gap", {}))
    ]


def robustness(good: float) -> list[Measure]:
    return [
        Measure("robustness", "accuracy", {"shift": kind, "chance": 0.25}, estimate(good - i / 10))
        for i, kind in enumerate(KINDS)
    ] + [Measure("robustness", "accuracy unshifted", {"shift": "birds"}, estimate(0.9))]


def one(name: str, good: float) -> Results:
    found = [entry("losses", losses(good)), entry("robustness", robustness(good))]
    return Results(name, f"runs/{name}", (*results("dream").entries, *found))


def selection_with_levels() -> Results:
    """As the task leaves it: a choice among 8 at every share, among 2 and 4 at the headline."""
    (found,) = (e for e in results("dream").entries if e.task == "selection")
    measures = [Measure(m.task, m.name, {**m.where, "cost": cost(m.where)}, m.estimate) for m in found.measures]
    at = {"candidates": 8}
    measures += [
        Measure("selection", "random candidate right", at, estimate(0.6)),
        Measure("selection", "reranked candidate right", {**at, "cost": 8}, estimate(0.8)),
        Measure("selection", "any of 8 right", at, estimate(0.95)),
        Measure("selection", "any of the plain samples of equal cost right", at, estimate(0.9)),
        Measure("selection", "regret in alignment of a random candidate", at, estimate(0.04)),
    ]
    measures += [
        Measure("selection", "regret in alignment", m.where, estimate(0.03)) for m in measures if m.name == "AUC"
    ]
    return Results("dream", "", (entry("selection", measures),))


def cost(where: dict) -> float:
    return 1 + (where["candidates"] - 1) * where["decoded_fraction"]


def titles(figure):
    return [annotation.text for annotation in figure.layout.annotations]


def colours_of(figure):
    return {t.name: t.marker.color or t.line.color for t in figure.data if t.showlegend}


PLOTS = (plot_losses_by_ratio, plot_retrieval_by_ratio, plot_edits, plot_robustness, plot_selection_cost)


@pytest.mark.parametrize("plot", PLOTS)
def test_nothing_is_a_figure_that_says_what_to_do(plot):
    for nothing in ([], [Results("a", "")]):
        figure = plot(nothing)
        assert not figure.data and "dream evaluate" in titles(figure)[0] and figure.layout.title.text


@pytest.mark.parametrize("plot", PLOTS[:-1])
def test_axes_have_units_and_models_their_colours(plot):
    two = [one("a", 0.5), one("b", 0.4)]
    figure = plot(two)
    assert any(axis.title.text and "(" in axis.title.text for axis in figure.select_xaxes())
    colours = {trace.name: (trace.marker.color or trace.line.color) for trace in figure.data if trace.showlegend}
    assert colours["a"] != colours["b"]
    alone = plot(two[1:], look=ModelStyles.of(two))
    assert colours_of(alone)["b"] == colours["b"]


def test_losses_show_chance_where_it_is_known():
    figure = plot_losses_by_ratio([one("a", 0.5)])
    assert titles(figure)[:3] == ["Generative loss", "Contrastive loss", "Alignment gap"]
    assert [shape.y0 for shape in figure.layout.shapes] == [pytest.approx(math.log(64))]


def test_retrieval_has_a_panel_a_rank_and_direction_that_was_measured():
    figure = plot_retrieval_by_ratio(all_results())
    assert titles(figure)[:2] == ["Caption to picture, R@1", "Picture to caption, R@1"]
    assert set(titles(figure)[2:]) == {"dream", "clip"}  # at the ends of the lines
    assert [shape.y0 for shape in figure.layout.shapes] == [1 / 64, 1 / 64]


def test_edits_are_of_the_pictures_that_are_asked_for():
    measures = [
        Measure("edits", "colour", {"mask_ratio": ratio, "combination": name}, estimate(value))
        for ratio in (0.0, 0.5)
        for name, value in (("all", 0.8), ("seen", 0.9), ("unseen", 0.7))
    ]
    found = [Results("a", "", (entry("edits", measures),))]
    values = {name: plot_edits(found, name).data[-1].y[0] for name in COMBINATIONS}
    assert values == {"all": 0.8, "seen": 0.9, "unseen": 0.7}
    assert "never seen" in plot_edits(found, "unseen").layout.title.text


def test_chance_is_known_for_some_measures():
    assert chance_of(Measure("edits", "shape", {}, estimate(1))) == 0.5
    assert chance_of(Measure("retrieval", "text to image R@5", {"pool": 64}, estimate(1))) == 5 / 64
    assert chance_of(Measure("knn", "accuracy", {"chance": 0.2}, estimate(1))) == 0.2
    assert chance_of(Measure("depth", "RMSE", {}, estimate(1))) is None


def test_robustness_has_a_row_a_kind_of_picture_and_a_mark_a_model():
    (shifts,) = robustness_info([one("a", 0.8), one("b", 0.5)])
    assert shifts.kinds == list(KINDS) and set(shifts.chance.values()) == {0.25}
    assert [(p.name, p.value) for p in shifts.points["none"]] == [("a", 0.8), ("b", 0.5)]
    figure = plot_robustness([one("a", 0.8), one("b", 0.5)])
    assert list(figure.layout.yaxis.ticktext) == ["as in training", "unseen combinations", "noise"]
    rows = {trace.name: list(trace.y) for trace in figure.data}
    assert rows["a"] != rows["b"] and rows["constant answer"] == [0, 1, 2]


def test_the_accuracy_of_a_choice_is_the_random_candidates_and_the_gain():
    found = {worth.panel.title: worth for worth in selection_cost_info([selection_with_levels()])}
    accuracy = found["Accuracy of the choice"]
    assert accuracy.levels == {"random candidate": 0.6, "all finished": 0.8, "any of 8 right": 0.95}
    assert {p.name for p in accuracy.panel.points} == {"8"}
    first = accuracy.panel.points[0]
    assert first.value == pytest.approx(0.6 + 0.05 * 3 * 0.1) and first.high <= 1
    assert found["Regret against the best candidate"].levels == {"random candidate": 0.04}


def test_choosing_costs_more_the_later_and_the_more_candidates():
    found = {worth.panel.title: worth for worth in selection_cost_info([selection_with_levels()])}
    points = found["Cost of the choice"].panel.points
    costs = {size: [p.value for p in points if p.name == size] for size in ("2", "4", "8")}
    for values in costs.values():
        assert values == sorted(values)
    assert costs["8"][-1] == pytest.approx(8) and costs["2"][-1] == pytest.approx(2)
    assert costs["2"][0] < costs["4"][0] < costs["8"][0]
    by_cost = found["Gain by cost"].panel.points
    assert {p.name for p in by_cost} == {"2", "4", "8"}


def test_two_models_have_panels_of_their_own():
    two = [selection_with_levels(), named(selection_with_levels(), "other")]
    found = selection_cost_info(two)
    assert len(found) == 8 and found[4].panel.title.startswith("other: ")
    figure = plot_selection_cost(two, columns=2)
    assert "dream: Cost of the choice" in titles(figure)


def test_levels_that_lie_on_each_other_are_named_together():
    figure = plot_selection_cost([selection_with_levels()])
    assert "random candidate" in titles(figure) and "any of 8 right" in titles(figure)


def test_a_range_never_makes_the_last_digits_look_large():
    flat = [Point("a", 1e-17, 0.0, 1e-17, 3)]
    low, high = span_of(flat)
    assert high - low >= 0.002
    assert span_of([Point("a", math.nan, math.nan, math.nan, 3)], [0.5])[0] < 0.5


def test_a_panel_without_a_number_says_why():
    nothing = Estimate(math.nan, math.nan, math.nan, 5)
    measures = [
        Measure(m.task, m.name, m.where, nothing if m.name == "AUC" else m.estimate)
        for e in results("dream").entries
        if e.task == "selection"
        for m in e.measures
    ]
    figure = plot_selection([Results("a", "", (entry("selection", measures),))])
    assert any("undefined" in text for text in titles(figure))
