"""The house colours: legible on both pages, apart for colour-blind readers, and the same everywhere."""

import html
from itertools import combinations

import numpy as np
import plotly.graph_objects as go
import pytest

from workbench import palette
from workbench.figures import style

# Rows of linear RGB as a deuteranope sees them (Viénot, Brettel and Mollon 1999).
DEUTERANOPE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])
PROTANOPE = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])


def linear(colour):
    values = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    light = sorted(0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (linear(one), linear(other)))
    return (light[1] + 0.05) / (light[0] + 0.05)


@pytest.mark.parametrize("theme", palette.BACKGROUND)
def test_every_colour_is_legible_on_either_page(theme):
    for colour in (*palette.OBJECTIVES.values(), *palette.ORDERED, palette.NEUTRAL):
        assert contrast(colour, palette.BACKGROUND[theme]) >= 3
    assert contrast(palette.TEXT[theme], palette.BACKGROUND[theme]) >= 7


@pytest.mark.parametrize("eyes", [np.eye(3), DEUTERANOPE, PROTANOPE])
def test_the_four_main_objectives_stay_apart_for_colour_blind_readers(eyes):
    main = [palette.OBJECTIVES[name] for name in ("dream", "clip", "fluid")]
    for one, other in combinations(main, 2):
        assert np.abs(eyes @ (linear(one) - linear(other))).max() > 0.1


def test_a_model_keeps_its_colour_and_no_two_share_one():
    models = [("dream", "dream"), ("other", "dream"), ("clip", "clip"), ("new", ""), ("third", "dream")]
    colours = style.model_colours(models)
    assert len(set(colours.values())) == 5
    assert colours["dream"] == palette.OBJECTIVES["dream"] == style.model_colours([("x", "dream")])["x"]
    assert len(style.model_colours([(f"m{i}", "dream") for i in range(20)])) == 20


def test_counts_are_ordered_from_one_end_to_the_other():
    colours = style.count_colours([8, 2, 4, 8])
    assert list(colours) == [2, 4, 8]
    assert (colours[2], colours[8]) == (palette.ORDERED[0], palette.ORDERED[-1])
    assert style.count_colours([5]) == {5: palette.ORDERED[0]}


@pytest.mark.parametrize(
    ("value", "shown"), [(0.12345, "0.123"), (4.567, "4.57"), (1234.5, "1,234"), (float("nan"), "-"), (-0.5, "-0.500")]
)
def test_numbers_are_short(value, shown):
    assert style.number(value) == shown


def test_a_figure_changes_its_theme_and_nothing_else():
    figure = go.Figure(go.Scatter(x=[1], y=[2]))
    assert style.themed(figure, "dark").layout.template.layout.paper_bgcolor == palette.BACKGROUND["dark"]
    assert style.themed(figure).layout.template.layout.paper_bgcolor == palette.BACKGROUND["light"]
    assert style.faded("#ff0080", 0.5) == "rgba(255, 0, 128, 0.5)"


def test_text_of_users_stays_text_in_a_figure():
    written = '<b>R&D</b> <a href="http://127.0.0.1:9">x</a> %{y} $x^2$ &lt;'
    shown = style.figure_text(written)
    assert not any(mark in shown for mark in ("<", ">", "%{", "$"))
    assert html.unescape(shown) == written
