"""Figures of the masking show the numbers they were given, with units, and stand empty and odd input."""

import numpy as np
import pytest

from dream.config import MaskingConfig, ObjectiveConfig
from dream.pretrained import SHIPPED
from workbench.figures import masking as figures
from workbench.figures.export import figure_csv
from workbench.figures.masking import plot_masks
from workbench.masking.drawn import near, read_drawn
from workbench.masking.picture import drawing
from workbench.masking.settings import presets
from workbench.masking.study import at_moment, draw_masks, over_training
from workbench.pictures import exact_url

OBJECTIVE = ObjectiveConfig()


@pytest.fixture(scope="module")
def schedule():
    """The published masking."""
    return over_training(MaskingConfig(), OBJECTIVE, 25, moments=21, bins=20)


@pytest.fixture(scope="module")
def drawn():
    """What the shipped model drew."""
    return read_drawn(SHIPPED["demo"], "demo")


def traces(figure) -> dict:
    """The traces by name."""
    return {trace.name: trace for trace in figure.data}


def test_the_heat_map_has_location_and_mean_and_the_runs_draws(schedule, drawn):
    figure = figures.plot_density(schedule, 0.3, drawn)
    found = traces(figure)
    assert list(found["location"].y) == pytest.approx(schedule.center)
    assert list(found["true mean"].y) == pytest.approx(schedule.mean)
    assert found["density"].z.shape == (20, 21)
    assert len(found["demo"].x) == figures.MOST_POINTS
    assert "mean of demo" in found
    assert figure.layout.xaxis.title.text == "training progress (%)"
    assert "share of tokens" in figure.layout.yaxis.title.text


def test_a_schedule_without_location_draws_none():
    schedule = over_training(MaskingConfig(schedule="uniform"), OBJECTIVE, 25, moments=3)
    assert "location" not in traces(figures.plot_density(schedule))


def test_ridges_go_over_the_training_and_light_the_nearest(schedule, drawn):
    figure = figures.plot_ridges(schedule, 0.49, drawn)
    assert "mean of demo" in traces(figure)
    ridges = [trace for trace in figure.data if trace.fill]
    assert len(ridges) == figures.RIDGES
    assert [trace.name for trace in ridges if trace.line.width > 2] == ["at 50 %"]


def test_shares_are_percent_and_a_run_lies_beside_them(schedule, drawn):
    found = traces(figures.plot_shares(schedule, 0.3, drawn))
    assert list(found["contrast"].y) == pytest.approx(100 * schedule.shares["contrast"])
    assert {"generation", "both", "both, demo"} <= set(found)


def test_the_chance_has_a_line_for_each_number_of_groups_and_its_own_is_thick(schedule):
    figure = figures.plot_chance(schedule, 0.3)
    widths = {trace.name: trace.line.width for trace in figure.data}
    assert widths["1 group"] > widths["2 groups"] == widths["32 groups"]


def test_the_histogram_and_the_closed_form_have_the_same_area(drawn):
    moment = at_moment(0.5, MaskingConfig(), OBJECTIVE, 25, draws=400)
    found = traces(figures.plot_moment(moment, near(drawn, 0.5), "demo"))
    bars = found["400 draws"]
    assert sum(bars.y) * bars.width == pytest.approx(1)
    assert np.trapezoid(found["closed form"].y, found["closed form"].x) == pytest.approx(1, abs=0.01)
    assert any("of demo" in name for name in found)


@pytest.mark.parametrize("masking", [p.masking for p in presets()], ids=[p.name for p in presets()])
def test_every_preset_can_be_drawn(masking):
    schedule = over_training(masking, OBJECTIVE, 25, moments=5)
    for plot in (figures.plot_density, figures.plot_ridges, figures.plot_shares, figures.plot_chance):
        assert figure_csv(plot(schedule, 0.5)).count(b"\n") > 5
    figures.plot_moment(at_moment(0.5, masking, OBJECTIVE, 25, draws=50), np.array([]), "mine")


def test_masks_lie_over_the_picture_with_ratio_and_loss():
    masks = draw_masks(0.5, MaskingConfig(), OBJECTIVE, 5, 6)
    figure = plot_masks(masks, exact_url(drawing(0, 5)[0]))
    assert len(figure.data) == len(figure.layout.images) == 6
    assert figure.layout.annotations[0].text == f"{masks[0].ratio:.2f}"
    assert figure.data[2].z.sum() == masks[2].hidden.sum()
    assert figure.layout.annotations[1].text in ("both", "contrast", "generation", "neither")


def test_no_masks_say_so():
    assert "no groups" in plot_masks([], "").layout.annotations[0].text
