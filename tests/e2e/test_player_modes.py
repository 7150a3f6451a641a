"""Race, cells and comparison in a browser, and what holds for every mode of the player."""

import pytest

from tests.e2e.player_page import drawn, events, pixels, readouts, shown
from tests.workbench.player.synthetic import ALL, cells_data, compare_data, race_data

pytestmark = pytest.mark.browser


WIDER = ".dream-player, .dream-player * { letter-spacing: 0.4em !important; }"
"""A style that makes every text wider than any common font would."""


@pytest.mark.parametrize("font", ["/* own */", WIDER])
@pytest.mark.parametrize("width", [360, 700, 1400])
@pytest.mark.parametrize("mode", ALL)
def test_nothing_sticks_out_of_a_window_of_any_width_in_any_font(browser, mode, width, font):
    with shown(browser, ALL[mode]()) as page:
        page.add_style_tag(content=font)
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(200)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_losers_of_a_race_turn_pale_after_the_choice_and_the_winner_goes_on(browser):
    data = race_data()
    with shown(browser, data) as page:
        page.keyboard.press("Home")
        for i in range(8):
            assert page.locator(".dp-lost").count() == (3 if i > 3 else 0)
            assert page.locator(".dp-won").count() == (1 if i >= 3 else 0)
            for k, candidate in enumerate(data["candidates"]):
                frame = candidate["frames"][min(i, candidate["alive"] - 1)]
                assert (drawn(page, f".dp-racer:nth-child({k + 1}) canvas") == pixels(frame)).all()
            page.keyboard.press("ArrowRight")
        assert page.locator(".dp-won").inner_text().split() == ["2", "0.270", "chosen", "·", "✓", "right"]
        chart = page.locator(".dp-chart").text_content()
        for words in ("Decoded (share of tokens)", "Steps done", "Alignment (cosine)", "choice: candidate 2"):
            assert words in chart
        page.locator(".dp-racer").nth(1).click()
        assert events(page)[-1] | {"id": 0} == {"kind": "candidate", "number": 1, "id": 0}
        assert page.locator(".dp-racer").nth(1).get_attribute("aria-pressed") == "true"


def test_a_race_of_finished_candidates_and_one_without_a_choice_show(browser):
    data = race_data(select=7)
    with shown(browser, data | {"select": [3]}) as page:
        assert page.locator(".dp-lost").count() == 3 and "not chosen" in page.locator(".dp-lost").first.inner_text()
    with shown(browser, data | {"chosen": -1, "select": []}) as page:
        assert page.locator(".dp-lost, .dp-won").count() == 0
        assert readouts(page)[-1] == "none yet"


def test_cells_are_selected_by_click_drag_keys_and_buttons(browser):
    with shown(browser, cells_data(cells=())) as page:
        board = page.locator(".dp-board")
        box = board.bounding_box()

        def at(row, column):
            return box["x"] + box["width"] * (column + 0.5) / 5, box["y"] + box["height"] * (row + 0.5) / 5

        def selected():
            return [event["cells"] for event in events(page) if event["kind"] == "cells"][-1]

        page.mouse.click(*at(0, 1))
        assert selected() == [1]
        page.mouse.move(*at(2, 0))
        page.mouse.down()
        page.mouse.move(*at(2, 3), steps=8)
        assert len(events(page)) == 1  # told on release
        page.mouse.up()
        assert selected() == [1, 10, 11, 12, 13]
        page.mouse.click(*at(0, 1))
        assert selected() == [10, 11, 12, 13]
        board.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press(" ")
        assert selected() == [5, 10, 11, 12, 13]
        assert page.locator("[role=gridcell][aria-selected=true]").count() == 5
        assert page.locator("[role=gridcell].dp-repaint").count() == 20  # kept are those selected
        page.get_by_role("button", name="Invert").click()
        assert len(selected()) == 20
        page.keyboard.press("Enter")  # the button's own
        page.get_by_role("button", name="All").click()
        assert page.locator(".dp-count").inner_text() == "25 of 25 tokens kept, 0 to repaint"
        page.get_by_role("button", name="None").click()
        assert selected() == []
        assert page.evaluate("scrollY") == 0


def test_cleared_cells_are_those_painted_anew(browser):
    with shown(browser, cells_data(verb="clear")) as page:
        assert page.locator("[role=gridcell].dp-repaint").count() == 3


def test_cells_given_anew_are_taken_but_their_echo_is_not(browser):
    data = cells_data(cells=())
    with shown(browser, data) as page:
        page.locator(".dp-board").focus()
        for key in (" ", "ArrowRight", " "):
            page.keyboard.press(key)
        page.evaluate("data => window.player.update(data)", data | {"cells": [0]})  # a late answer to the first
        page.wait_for_timeout(150)
        assert page.locator("[aria-selected=true]").count() == 2
        page.evaluate("data => window.player.update(data)", data | {"cells": [20, 21, 22]})
        page.wait_for_function("document.querySelectorAll('[aria-selected=true]').length === 3")
        assert page.evaluate("document.activeElement.className") == "dp-board"


def test_two_pictures_are_compared_by_pointer_and_keys(browser):
    with shown(browser, compare_data()) as page:
        split = "document.querySelector('.dp-compare-box').style.getPropertyValue('--split')"
        box = page.locator(".dp-compare-box").bounding_box()
        page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + 50)
        assert abs(float(page.evaluate(split).rstrip("%")) - 25) <= 3
        page.keyboard.press("Home")
        assert page.evaluate(split) == "0%"
        page.locator(".dp-title").click()
        page.keyboard.press("ArrowRight")
        assert page.evaluate(split) == "2%"
        assert page.get_by_role("slider").get_attribute("aria-valuetext") == "2 % of seed 0"


@pytest.mark.parametrize("mode", ALL)
def test_pictures_and_controls_have_names(browser, mode):
    with shown(browser, ALL[mode]()) as page:
        unnamed = page.evaluate("""() => [...document.querySelectorAll(
          ".dream-player :is(canvas[role=img], svg[role=img], button, input, select, [role=grid])")]
          .filter((e) => e.getAttribute("aria-hidden") !== "true" && e.getClientRects().length)
          .filter((e) => !e.getAttribute("aria-label") && !e.textContent.trim()).map((e) => e.outerHTML)""")
        assert unnamed == []
