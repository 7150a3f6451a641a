"""A figure of panels comes apart into single figures, its legend into entries, and few lines carry their names."""

import itertools

import pytest

from tests.workbench.evaluate.sample_results import all_results
from workbench.figures import style
from workbench.figures.by_ratio import plot_edits, plot_mask_ratio
from workbench.figures.measured import MOST_LINES, fit_at_ends, with_room
from workbench.figures.panels import heading_of, legend_of, pieces_of
from workbench.figures.paper import plot_paper_beside, plot_published, published_metrics
from workbench.figures.selection import plot_selection
from workbench.figures.side_by_side import plot_comparison


@pytest.mark.parametrize("plot", [plot_mask_ratio, plot_edits, plot_selection, plot_comparison, plot_paper_beside])
def test_pieces_hold_every_trace_note_and_shape_of_the_figure_once(plot):
    figure = plot(all_results())
    pieces = pieces_of(figure, 200)
    assert sum(len(piece.data) for piece in pieces) == len(figure.data)
    assert sum(len(piece.layout.shapes) for piece in pieces) == len(figure.layout.shapes)
    assert sum(len(piece.layout.annotations) + 1 for piece in pieces) == len(figure.layout.annotations)
    assert all(piece.layout.title.text and piece.layout.height < 300 for piece in pieces)
    assert all({trace.xaxis for trace in piece.data} <= {"x", None} for piece in pieces)


def test_a_figure_without_panels_has_no_pieces():
    assert pieces_of(style.empty("Nothing", "yet"), 200) == []


def test_the_legend_has_each_name_once_with_its_colour_and_the_heading_is_plain_text():
    figure = plot_paper_beside(all_results())
    entries = legend_of(figure)
    assert [entry.name for entry in entries] == list(dict.fromkeys(trace.name for trace in figure.data))
    assert all(entry.colour.startswith("#") and len(entry.mark) == 1 for entry in entries)
    assert heading_of(figure)[0] == "Our models and the paper's" and "<" not in heading_of(figure)[1]


def test_few_lines_carry_their_names_and_a_single_one_needs_none():
    figure = plot_mask_ratio(all_results())
    assert figure.layout.showlegend is False
    assert {note.text for note in figure.layout.annotations} >= {"dream", "clip"}
    assert not fit_at_ends(["a"]) and not fit_at_ends([str(i) for i in range(MOST_LINES + 1)])
    assert not fit_at_ends(["a", "a very long name of a model"])
    assert with_room([0.0, 1.0], ["abc"])[1] > 1


def test_labels_keep_their_distance_and_stay_above_the_lowest_place():
    places = style.spaced([0.5, 0.5, 0.0, 0.49], 0.1, 0.05)
    ordered = sorted(places)
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(ordered))
    assert ordered[0] >= 0.05


def test_every_published_measure_has_a_panel():
    assert len(pieces_of(plot_published(), 150)) == len(published_metrics()) == 7
