"""Figures of results: the numbers in their panels, titles, units and names, and what they say of nothing."""

import pytest

from dream.evaluation.results import Results
from dream.evaluation.statistics import Measure, mean
from tests.workbench.evaluate.sample_results import OBJECTIVES, all_results, entry, estimate, named, results
from workbench.figures.by_ratio import mask_ratio_info, plot_by_mask_ratio
from workbench.figures.panels import Panel, Point, bars, lines, point_of
from workbench.figures.paper import paper_info, plot_paper_beside
from workbench.figures.selection import plot_selection, selection_info
from workbench.figures.side_by_side import comparison_info, plot_comparison

PLOTS = (plot_comparison, plot_by_mask_ratio, plot_selection, plot_paper_beside)


def by_title(panels):
    return {panel.title: panel for panel in panels}


def titles(figure):
    return [annotation.text for annotation in figure.layout.annotations]


@pytest.mark.parametrize("plot", PLOTS)
def test_nothing_is_a_figure_that_says_what_to_do(plot):
    skipped = Results("a", "", (entry("prompts", [], skipped="it cannot paint"),))
    for nothing in ([], [Results("a", "")], [skipped]):
        figure = plot(nothing)
        assert not figure.data and "dream evaluate" in titles(figure)[0] and figure.layout.title.text


@pytest.mark.parametrize("plot", PLOTS)
def test_every_axis_has_a_title_with_its_unit_and_every_number_an_interval(plot):
    figure = plot(all_results())
    numbers = [trace for trace in figure.data if trace.mode != "lines" and trace.name != "the paper"]
    assert numbers
    assert "95 %" in figure.layout.title.text or all(trace.error_y.array for trace in numbers)
    axes = list(figure.select_xaxes()) + list(figure.select_yaxes())
    assert any(axis.title.text and "(" in axis.title.text for axis in axes)
    assert all(trace.hovertemplate for trace in numbers)


def test_a_point_without_interval_has_no_bar_no_band_and_says_why():
    bare = mean([1.0, 2.0], "prompts")
    points = [Point("a", 1.0, 0.9, 1.1, 9, at) for at in (0, 1)] + [point_of("a", Measure("t", "n", {}, bare), 2)]
    points += [Point("a", 1.0, 0.8, 1.2, 9, at) for at in (3, 4)]
    band, line = lines([Panel("title", "axis", points)], {"a": "#000000"}, {"a": "circle"})
    assert band["x"] == [0, 1, 1, 0, None, 3, 4, 4, 3] and band["y"][4] is None
    assert "too few prompts for an interval: 2" in "".join(line["customdata"][2]) and "nan" not in str(line).lower()
    assert all(end != end for end in bars(points[2:3], "#000000")["array"])


# models side by side


def test_a_panel_has_the_models_that_were_measured_with_their_intervals():
    panels = by_title(comparison_info(all_results()))
    assert [p.name for p in panels["Linear probe"].points] == list(OBJECTIVES)
    assert [p.name for p in panels["Caption to picture"].points] == ["dream", "clip"]
    point = panels["Caption to picture"].points[0]
    assert (point.value, point.of) == (0.9, 300) and point.low < point.value < point.high
    assert panels["Depth"].axis.endswith("lower is better")
    assert panels["Gain from selection at 30 %"].points[0].value == pytest.approx(0.05 * 3 * 0.3)  # of 8


def test_data_sets_have_panels_of_their_own():
    other = entry("probe", results("dream").entries[2].measures, data="sets/birds")
    both = Results("dream", "", (*results("dream").entries, other))
    panels = by_title(comparison_info([both]))
    assert {"Linear probe, shapes", "Linear probe, birds"} <= set(panels)


def test_models_are_rows_in_their_order_from_above():
    figure = plot_comparison(all_results())
    assert list(figure.layout.yaxis.categoryarray) == list(OBJECTIVES)[::-1]
    assert len({trace.marker.color for trace in figure.data}) == len(OBJECTIVES)


def test_one_model_with_one_measure_is_a_figure_too():
    one = Results("a", "", (results("mar").entries[0],))
    assert len(plot_comparison([one]).data) == 1


# over the mask ratio


def test_curves_run_over_the_ratios_and_need_more_than_one():
    panels = by_title(mask_ratio_info(all_results()))
    curve = [p for p in panels["Caption to picture"].points if p.name == "clip"]
    assert [p.at for p in curve] == [0.0, 0.25, 0.5, 0.75]
    assert curve[-1].value == pytest.approx(0.85 - 0.75**2 / 3)
    assert "Contrastive loss" not in panels
    one = Results("a", "", (entry("retrieval", list(results("clip").entries[0].measures)[:1]),))
    assert mask_ratio_info([one]) == []


def test_a_model_is_named_once_in_the_legend():
    figure = plot_by_mask_ratio(all_results())
    shown = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(shown) == ["clip", "dream"]


# selection


def test_selection_is_by_decoded_share_and_by_number_of_candidates():
    panels = by_title(selection_info(all_results()))
    gain, sizes = panels["Gain over a random candidate"], panels["Gain by K, 30 % decoded"]
    assert [p.at for p in gain.points] == [i / 10 for i in range(1, 11)]
    assert {p.name for p in gain.points} == {"8"}
    assert [(p.name, p.at) for p in sizes.points] == [("2", 2.0), ("4", 4.0), ("8", 8.0)]
    names = {trace.name for trace in plot_selection(all_results()).data}
    assert names == {"K = 2", "K = 4", "K = 8"}


def test_models_with_selection_have_panels_of_their_own():
    two = [results("dream"), named(results("dream"), "other"), results("clip")]
    assert len(selection_info(two)) == 8
    assert selection_info(two)[4].title.startswith("other: ")


def test_what_is_counted_with_refusals_is_another_figure():
    measures = results("dream").entries[-1].measures
    refused = [type(m)(m.task, m.name, {**m.where, "malformed_refused": True}, estimate(0.7)) for m in measures]
    mixed = [Results("a", "", (entry("selection", [*measures, *refused]),))]
    plain, strict = selection_info(mixed), selection_info(mixed, malformed_refused=True)
    assert plain[0].points[0].value != 0.7 and strict[0].points[0].value == 0.7


# the paper


def test_ours_and_the_papers_are_each_relative_to_their_own_dream():
    beside = {b.metric.title: b for b in paper_info(all_results())}
    probe = beside["linear probe"]
    ours = {name: point.value for _, name, point in probe.ours}
    assert ours["dream"] == 1.0 and ours["clip"] == pytest.approx(0.85 / 0.9)
    assert {o: ratio for o, ratio, _ in probe.paper}["CLIP"] == pytest.approx(0.716 / 0.727)
    depth = {name: point for _, name, point in beside["depth RMSE"].ours}
    assert depth["mar"].value == pytest.approx(0.1 / 0.5) and depth["mar"].low < depth["mar"].high


def test_without_dream_the_first_of_ours_is_the_reference():
    (beside, *_) = paper_info([results("clip"), results("mar")])
    assert beside.reference == ("clip", "CLIP")
    assert {o: ratio for o, ratio, _ in beside.paper}["CLIP"] == 1.0


def test_the_figure_says_that_the_data_sets_differ():
    figure = plot_paper_beside(all_results())
    assert "data sets and model sizes differ" in figure.layout.title.text
    assert "linear probe (paper: ImageNet-1K)" in titles(figure)
