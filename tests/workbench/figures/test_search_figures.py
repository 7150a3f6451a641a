"""Figures of the joint space: signs are colours on both sides of nothing, axes have units, empty is said."""

import numpy as np

from workbench.figures.search import LOWERS, RAISES, plot_cosine_curve, plot_cosines, plot_patch_map, plot_word_parts
from workbench.search.pair import Curve

PIXELS = np.zeros((3, 18, 18), np.uint8)


def test_the_map_is_centred_on_nothing_and_lies_over_the_picture():
    figure = plot_patch_map(np.array([[0.2, -0.05], [0.0, 0.1]]), PIXELS, "map")
    heat = figure.data[0]
    assert (heat.zmin, heat.zmax) == (-0.2, 0.2)
    assert figure.layout.images[0].source.startswith("data:image/png")
    assert tuple(figure.layout.yaxis.range) == (1.5, -0.5)
    assert "drop in cosine" in heat.colorbar.title.text


def test_a_map_of_zeros_is_drawn():
    assert plot_patch_map(np.zeros((3, 3)), PIXELS, "map").data[0].zmax > 0


def test_words_keep_their_order_and_colours_tell_the_sign():
    bar = plot_word_parts(["a", "red", "a"], np.array([0.1, -0.2, 0.0])).data[0]
    assert list(bar.marker.color) == [RAISES, LOWERS, RAISES] and len(set(bar.y)) == 3


def test_the_curve_has_band_text_and_others():
    x = np.linspace(0, 1, 3)
    curve = Curve(x, x, x - 0.1, x + 0.1, x * 0)
    figure = plot_cosine_curve(curve, 0.5)
    assert len(figure.data) == 3 and "%" in figure.layout.xaxis.title.text
    assert len(plot_cosine_curve(curve._replace(others=None)).data) == 2


def test_cosines_mark_the_nearest_and_an_empty_index_says_so():
    assert plot_cosines(np.array([0.1, 0.2]), [("the nearest", 0.2)]).layout.annotations[0].text == "the nearest"
    assert "no picture" in plot_cosines(np.array([])).layout.annotations[0].text
    assert plot_word_parts([], np.array([])).layout.annotations
