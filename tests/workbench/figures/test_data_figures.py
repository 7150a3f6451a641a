"""Figures of a source: counts are what was put in, axes have units, empty is said."""

import numpy as np
import pytest

from workbench.figures.data import plot_aspects, plot_attributes, plot_frequent, plot_lengths, plot_sizes

NONE = np.array([], np.int64)


def test_lengths_are_counted_and_the_models_limit_is_marked():
    figure = plot_lengths(np.array([4, 4, 9]), np.array([2, 2, 7]), 8)
    words, tokens = figure.data
    assert dict(zip(tokens.x, tokens.y, strict=True)) == {4: 2, 9: 1} and sum(words.y) == 3
    assert "reads 8" in figure.layout.annotations[0].text


def test_equal_sizes_are_one_dot():
    dots = plot_sizes(np.array([64, 64, 30]), np.array([64, 64, 40]), 32).data[0]
    assert (
        sorted(dots.customdata) == [1, 2] and max(dots.marker.size) == dots.marker.size[list(dots.customdata).index(2)]
    )


def test_a_square_picture_lies_at_one_to_one():
    figure = plot_aspects(np.array([64, 128]), np.array([64, 64]))
    assert list(figure.data[0].x) == [0, 1] and "1:1" in figure.layout.xaxis.ticktext


def test_words_and_attributes_keep_their_counts():
    assert list(plot_frequent([("a", 5), ("red", 2)]).data[0].x) == [5, 2]
    figure = plot_attributes({"shape": {"circle": 3, "square": 1}, "size": {"large": 4}})
    assert [trace.name for trace in figure.data] == ["shape"] and list(figure.data[0].y) == [3, 1]


@pytest.mark.parametrize(
    "figure",
    [
        plot_lengths(NONE, NONE, 8),
        plot_sizes(NONE, NONE, 8),
        plot_aspects(NONE, NONE),
        plot_frequent([]),
        plot_attributes({}),
    ],
)
def test_nothing_to_draw_is_said(figure):
    assert not figure.data and figure.layout.annotations[0].text.startswith("No ")
