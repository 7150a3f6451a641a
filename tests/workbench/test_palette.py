"""The colours that files outside Python repeat are those of the palette."""

import re
import tomllib
from pathlib import Path

import pytest

from dream.decoding import pictures
from workbench import palette

ROOT = Path(__file__).parents[2]
CSS = (ROOT / "workbench" / "player" / "player.css").read_text()
THEMED = {
    "text": palette.TEXT,
    "page": palette.BACKGROUND,
    "soft": palette.SURFACE,
    "line": palette.BORDER,
    "accent": palette.ACCENT,
}


@pytest.mark.parametrize(("number", "theme"), [(0, "light"), (1, "dark")])
def test_the_player_has_the_colours_of_both_themes(number, theme):
    for name, colours in THEMED.items():
        values = re.findall(rf"--dp-own-{name}: (#\w{{6}});", CSS)
        assert values[number] == colours[theme].lower(), name


def test_the_player_has_no_other_colour():
    blue = tuple(int(palette.OBJECTIVES["clip"][i : i + 2], 16) for i in (1, 3, 5))
    assert re.findall(r"--blue: (\d+) (\d+) (\d+);", CSS) == [tuple(map(str, blue))]
    known = {colour for colours in THEMED.values() for colour in map(str.lower, colours.values())}
    known |= {colour.lower() for colour in (*palette.HATCH, palette.MESSAGES["success"], palette.MESSAGES["error"])}
    assert set(re.findall(r"#[0-9a-fA-F]{3,6}\b", CSS)) <= known


def test_hidden_cells_have_one_look_in_the_player_and_in_pictures():
    assert tuple("#" + 3 * f"{level:02x}" for level in pictures.HATCH) == palette.HATCH


def test_sixteen_candidates_have_sixteen_colours_and_none_that_of_references():
    colours = [palette.candidate_colour(number).lower() for number in range(16)]
    assert len(set(colours)) == 16 and palette.NEUTRAL.lower() not in colours


def test_the_app_has_the_colours_of_both_themes():
    themes = tomllib.loads((ROOT / "app" / ".streamlit" / "config.toml").read_text())["theme"]
    for theme in ("light", "dark"):
        assert themes[theme] == {
            "primaryColor": palette.ACCENT[theme],
            "backgroundColor": palette.BACKGROUND[theme],
            "secondaryBackgroundColor": palette.SURFACE[theme],
            "textColor": palette.TEXT[theme],
        }


@pytest.mark.parametrize("path", ["workbench/sources/pictures.py", "app/search/hits.py"])
def test_style_sheets_in_python_have_colours_of_the_palette(path):
    text = (ROOT / path).read_text()
    known = {*palette.OBJECTIVES.values(), palette.NEUTRAL}
    triples = {tuple(str(int(colour[i : i + 2], 16)) for i in (1, 3, 5)) for colour in known}
    assert set(re.findall(r"#[0-9a-fA-F]{6}\b", text)) <= known
    assert set(re.findall(r"rgba\((\d+),(\d+),(\d+),", text)) <= triples


def test_figures_and_widgets_repeat_no_colour():
    for folder in ("figures", "widgets", "notebook_pages", "decode", "trajectories"):
        for path in (ROOT / "workbench" / folder).glob("*.py"):
            assert not re.findall(r"#[0-9a-fA-F]{6}\b", path.read_text()), path.name
