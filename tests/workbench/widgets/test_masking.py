"""The masking explorer in plain Python: every control moves figures and result, and what does not go
together is a sentence.
"""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from dream.config import MaskingConfig, ObjectiveConfig
from dream.errors import InputError
from dream.overrides import override
from dream.presets import preset
from workbench.figures.masking import plot_density, plot_ridges, plot_shares
from workbench.masking.settings import presets
from workbench.widgets import masking_explorer
from workbench.widgets.figures import live
from workbench.widgets.masking import MASKS, MaskingExplorer


@pytest.fixture
def explorer(tmp_path, monkeypatch) -> MaskingExplorer:
    """In a workspace of its own."""
    monkeypatch.setenv("DREAM_WORKSPACE", str(tmp_path))
    return masking_explorer()


def mean_line(explorer: MaskingExplorer) -> np.ndarray:
    """The true mean as the density figure draws it."""
    (line,) = [trace for trace in explorer.figures["density"].data if trace.name == "true mean"]
    return np.asarray(line.y)


def shapes(figure) -> list:
    return [shape.to_plotly_json() for shape in figure.layout.shapes]


def said(explorer: MaskingExplorer) -> str:
    return explorer._note.value


def test_begins_with_the_published_masking_and_says_what_it_shows(explorer):
    result = explorer.result
    assert result.masking == MaskingConfig() and result.objective == ObjectiveConfig()
    assert explorer.controls["preset"].value == "Paper" and not said(explorer)
    assert np.allclose(mean_line(explorer), result.schedule.mean)
    widths = np.diff(result.schedule.edges)
    assert np.allclose((result.schedule.density * widths).sum(1), 1)
    assert len(result.masks) == MASKS and "--preset tiny" in result.command


@pytest.mark.parametrize("wanted", presets(), ids=lambda wanted: wanted.name)
def test_a_preset_sets_every_control(explorer, wanted):
    explorer.controls["preset"].value = wanted.name
    assert explorer.result.masking == wanted.masking
    assert np.allclose(mean_line(explorer), explorer.result.schedule.mean)
    assert explorer.controls["preset"].value == wanted.name


@pytest.mark.parametrize(
    ("control", "value", "field", "expected"),
    [
        ("schedule", "uniform", "schedule", "uniform"),
        ("center_start", 0.2, "center_start", 0.2),
        ("center_end", 0.8, "center_end", 0.8),
        ("times", (20, 60), "hold", 0.2),
        ("times", (20, 60), "warmup_end", 0.6),
        ("shape", "cosine", "shape", "cosine"),
        ("std", 0.25, "std", 0.25),
        ("interval", (0.1, 0.9), "high", 0.9),
        ("moving", True, "moving_interval", True),
        ("groups", 8, "groups", 8),
        ("stratified", True, "stratified", True),
    ],
)
def test_a_control_is_a_field(explorer, control, value, field, expected):
    before = explorer.result.schedule
    explorer.controls[control].value = value
    assert getattr(explorer.result.masking, field) == expected
    names = {"schedule": "Uniform", "shape": "Cosine", "moving": "Moving"}
    assert explorer.controls["preset"].value == names.get(control, "Custom")
    same = np.array_equal(before.density, explorer.result.schedule.density)
    assert same == (control in ("stratified", "groups"))
    changed = override(preset("tiny"), explorer.result.assignments)
    assert changed.masking == explorer.result.masking


def test_toggles_bring_their_sliders(explorer):
    controls = explorer.controls
    assert controls["std_end"].layout.display == controls["for_generation"].layout.display == "none"
    controls["widens"].value, controls["groups"].value, controls["shared"].value = True, 8, True
    controls["std_end"].value, controls["for_generation"].value = 0.7, 2
    masking = explorer.result.masking
    assert (masking.std_end, masking.generation_share) == (0.7, 0.25)
    assert controls["std_end"].layout.display is controls["for_generation"].layout.display is None
    controls["schedule"].value = "never"
    assert controls["std"].layout.display == controls["interval"].layout.display == "none"


def test_the_moment_moves_lines_histogram_and_masks_and_leaves_the_curves(explorer):
    before, schedule = explorer.result, explorer.result.schedule
    explorer.controls["moment"].value = 90
    result = explorer.result
    assert result.moment.progress == 0.9 and result.schedule is schedule
    assert shapes(explorer.figures["density"]) == shapes(live(plot_density(schedule, 0.9)))
    assert shapes(explorer.figures["shares"]) == shapes(live(plot_shares(schedule, 0.9)))
    assert [m.ratio for m in result.masks] != [m.ratio for m in before.masks]
    assert np.mean(result.moment.ratios) > np.mean(before.moment.ratios)
    assert "90%" in explorer.figures["moment"].layout.title.text


def test_ridges_are_the_same_density_in_the_same_widget(explorer):
    figure = explorer.figures["density"]
    explorer.controls["view"].value = "Ridges"
    explorer.controls["moment"].value = 80
    assert explorer.figures["density"] is figure
    fresh = plot_ridges(explorer.result.schedule, 0.8)
    assert [t.name for t in figure.data] == [t.name for t in fresh.data]
    assert [t.fillcolor for t in figure.data] == [t.fillcolor for t in fresh.data]


def test_what_is_refused_is_a_sentence_and_the_last_good_figures_stay(explorer, monkeypatch):
    before, line = explorer.result, mean_line(explorer)

    def refuse(masking, objective):
        if masking.center_end > 1.2:
            raise InputError("the location is too far: move it")

    monkeypatch.setattr("workbench.widgets.masking.check_masking", refuse)
    explorer.controls["center_end"].value = 1.5
    assert "too far" in said(explorer) and explorer.result.masking.center_end == 1.0
    explorer.controls["moment"].value = 10
    assert explorer.result.moment.progress == 0.1 and "too far" in said(explorer)
    explorer.controls["center_end"].value = 1.0
    assert not said(explorer) and np.allclose(mean_line(explorer), line)
    assert explorer.result.masking == before.masking


def test_counting_moves_the_bounds(explorer):
    explorer.controls["min_visible"].value, explorer.controls["min_masked"].value = 0.5, 0.75
    assert explorer.result.schedule.max_masked == 0.5 and explorer.result.schedule.min_masked == 0.75
    assert "objective.min_visible=0.5" in explorer.result.assignments


def test_the_grid_is_that_of_the_masks(explorer):
    explorer.controls["grid"].value = 16
    assert explorer.result.masks[0].hidden.shape == (16, 16)


def test_other_draws_other_drawings_and_an_own_picture(explorer, tmp_path):
    def picture() -> str:
        return explorer.figures["masks"].layout.images[0].source

    first, ratios = picture(), [m.ratio for m in explorer.result.masks]
    explorer.controls["again"].click()
    assert picture() == first and [m.ratio for m in explorer.result.masks] != ratios
    explorer.controls["drawing"].click()
    assert picture() != first
    pixels = np.full((40, 60, 3), 200, dtype=np.uint8)
    explorer.show_picture(pixels)
    from_array = picture()
    Image.fromarray(pixels).save(tmp_path / "own.png")
    explorer.show_picture(tmp_path / "own.png")
    assert picture() == from_array and "own.png" in explorer._caption.value
    for bad in (tmp_path / "missing.png", np.zeros(3)):
        with pytest.raises(InputError):
            explorer.show_picture(bad)
    (tmp_path / "text.png").write_text("no")
    with pytest.raises(InputError, match="cannot be used as a picture"):
        explorer.show_picture(tmp_path / "text.png")
    explorer.controls["again"].click()
    assert picture() == from_array and not said(explorer)
    explorer.show_picture(None)
    assert picture() != from_array


def test_a_shipped_models_draws_are_laid_over_and_its_settings_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_WORKSPACE", str(tmp_path))
    explorer = masking_explorer(run="demo", grid=4)
    assert "demo" in [trace.name for trace in explorer.figures["density"].data]
    explorer.controls["use"].click()
    assert explorer.result.masking == preset("demo").masking and explorer.result.grid == 5
    assert explorer.result.assignments == [] and explorer.controls["preset"].value == "tiny"
    explorer.controls["run"].value = "none"
    assert "demo" not in [trace.name for trace in explorer.figures["density"].data]


def test_settings_beyond_the_sliders_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_WORKSPACE", str(tmp_path))
    masking = MaskingConfig(center_start=-0.8, std=1.4, groups=6, hold=1 / 3)
    result = masking_explorer(masking).result
    assert dataclasses.replace(result.masking, hold=1 / 3) == masking and result.masking.hold == 0.333333


def test_what_training_refuses_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DREAM_WORKSPACE", str(tmp_path))
    with pytest.raises(InputError, match="masking.std"):
        masking_explorer(MaskingConfig(std=-1.0))
    with pytest.raises(InputError):
        masking_explorer(run=tmp_path / "nothing")
