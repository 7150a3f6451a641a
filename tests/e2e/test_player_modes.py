"""Race, cells and comparison in a browser, and what holds for every mode of the player."""

from itertools import pairwise

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


def test_pictures_of_a_race_stay_in_full_colour_and_labels_say_who_is_chosen_and_who_is_right(browser):
    data = race_data()
    with shown(browser, data) as page:
        page.keyboard.press("Home")
        for i in range(8):
            dropped = page.locator(".dp-racer", has_text="dropped after step 4").count()
            assert dropped == (3 if i > 3 else 0)
            assert page.locator(".dp-won").count() == (1 if i >= 3 else 0)
            for k, candidate in enumerate(data["candidates"]):
                frame = candidate["frames"][min(i, candidate["alive"] - 1)]
                canvas = f".dp-racer:nth-child({k + 1}) canvas"
                assert (drawn(page, canvas) == pixels(frame)).all()
                assert page.locator(canvas).evaluate("canvas => getComputedStyle(canvas).opacity") == "1"
            page.keyboard.press("ArrowRight")
        assert page.locator(".dp-won").inner_text().split() == ["3", "chosen", "0.270", "✓", "right"]
        chart = page.locator(".dp-chart").text_content()
        for words in ("Decoded (share of tokens)", "Steps done", "Alignment (cosine)", "choice: candidate 3"):
            assert words in chart
        page.locator(".dp-racer").nth(1).click()
        assert events(page)[-1] | {"id": 0} == {"kind": "candidate", "number": 1, "id": 0}
        assert page.locator(".dp-racer").nth(1).get_attribute("aria-pressed") == "true"


def test_a_race_of_finished_candidates_and_one_without_a_choice_show(browser):
    data = race_data(select=7)
    with shown(browser, data | {"select": [3], "at": 4}) as page:
        assert page.locator(".dp-racer", has_text="dropped").count() == 0 and readouts(page)[0] == "5 / 8"
    with shown(browser, data | {"chosen": -1, "select": []}) as page:
        assert page.locator(".dp-won, .dp-flag:visible").count() == 0
        assert readouts(page)[-1] == "none yet"


def test_the_choice_of_a_finished_race_moves_with_its_slider_and_says_what_it_would_give(browser):
    data = race_data(select=7) | {"select": [3]}
    data["candidates"] = [one | {"right": one["number"] == 2} for one in data["candidates"]]
    picks, times = [0, 0, 1, 2, 2, 2, 2, 2], [1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.4, 3.0]
    data["choose"] = {"at": 3, "now": 3, "picks": picks, "times": times}
    with shown(browser, data) as page:
        result = page.locator(".dp-choose-result")
        assert (
            result.inner_text()
            == "Candidate 3 is chosen: right. 1 of 4 is right: without choosing, 25 of 100 tries would be."
        )
        slider = page.get_by_role("slider", name="Choose after step")
        slider.focus()
        page.keyboard.press("ArrowLeft")
        assert "Candidate 2 is chosen: wrong." in result.inner_text()
        assert (
            "Measured here: 1.6 times the time of one picture; finishing all 3.0 times"
            in page.locator(".dp-choose").inner_text()
        )
        assert (
            page.locator(".dp-won b").inner_text() == "2"
            and "choice: candidate 2" in page.locator(".dp-chart").text_content()
        )
        assert readouts(page)[0] == "8 / 8"  # the step stays
        assert events(page)[-1] | {"id": 0} == {"kind": "choose", "index": 2, "id": 0}
        page.evaluate("data => window.player.update(data)", data)  # an echo of the page keeps the reader's choice
        page.wait_for_timeout(150)
        assert "Candidate 2 is chosen" in result.inner_text()


@pytest.mark.parametrize("count", [2, 16])
def test_names_of_lines_stay_between_the_axes(browser, count):
    data = race_data(candidates=count, select=7)
    data["candidates"] = [one | {"alignment": [0.2] * 8} for one in data["candidates"]]
    with shown(browser, data) as page:
        heights = page.locator(".dp-end").evaluate_all(
            "all => all.map((one) => +one.getAttribute('y')).sort((a, b) => a - b)"
        )
        floor = page.locator(".dp-choice").first.evaluate("line => +line.getAttribute('y2')")
        assert len(heights) == count and heights[-1] <= floor and heights[0] > 44
        assert min(b - a for a, b in pairwise(heights)) > 12


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
