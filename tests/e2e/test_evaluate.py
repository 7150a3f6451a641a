"""Evaluate in a browser: what it opens with, its state in the address, and one stop of the keyboard per figure."""

import pytest
from playwright.sync_api import Page

from app.browsing import PATIENCE, open_page, settle
from dream.evaluation.results import write_results
from tests.e2e.pages import choose, wait_for_text
from tests.workbench.evaluate.sample_results import all_results

pytestmark = pytest.mark.browser
PLOTS = ".js-plotly-plot .main-svg"


@pytest.fixture(scope="module")
def measured(workspace):
    """The workspace with results of four models."""
    for result in all_results():
        write_results(workspace / "results", result)
    return workspace


def focused(page: Page) -> str:
    """Presses Tab; returns where the focus is then: `figure`, or the text of the element."""
    page.keyboard.press("Tab")
    return page.evaluate(
        "() => { const at = document.activeElement;"
        " return at.closest('.stPlotlyChart, .stFullScreenFrame') ? 'figure' : at.innerText || at.tagName; }"
    )


def test_a_workspace_without_results_opens_with_the_papers_numbers(browser, address):
    page = open_page(browser, f"{address}/evaluate")
    page.locator(PLOTS).first.wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Measure yours").first.click(timeout=PATIENCE)
    wait_for_text(page, "dream evaluate")
    page.context.close()


def test_the_view_and_the_models_outlive_a_reload_and_open_alike_in_another_tab(browser, measured, address):
    page = open_page(browser, f"{address}/evaluate")
    page.locator(PLOTS).first.wait_for(timeout=PATIENCE)
    choose(page, "in.evaluate.view", "Side by side")
    choose(page, "in.evaluate.shown", "clip")
    assert "in.evaluate.view" in page.url and "in.evaluate.shown" in page.url
    page.reload()
    settle(page)
    other = open_page(browser, page.url)
    for each in (page, other):
        wait_for_text(each, "Models side by side")
        pressed = each.locator(
            ".st-key-in-evaluate-shown [aria-pressed=true], .st-key-in-evaluate-shown [kind$=Active]"
        )
        assert "clip" not in pressed.all_inner_texts()
    other.context.close()
    page.context.close()


@pytest.mark.parametrize("width", [1440, 420])
def test_a_figure_costs_the_keyboard_one_stop_and_its_buttons_stay_for_the_mouse(browser, measured, address, width):
    page = open_page(browser, f"{address}/evaluate", size=(width, 900))
    chart = page.locator(PLOTS).first
    chart.wait_for(timeout=PATIENCE)
    settle(page)
    stops = [focused(page)]
    while (stop := focused(page)) != stops[0] and len(stops) < 80:
        stops.append(stop)
    assert "figure" not in stops
    assert sum(stop.startswith("Save") for stop in stops) == 1
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    chart.hover()
    assert page.locator(".modebar-btn").first.is_visible()
    page.context.close()


def test_save_stands_below_its_figure(browser, measured, address):
    page = open_page(browser, f"{address}/evaluate", theme="dark")
    page.locator(PLOTS).first.wait_for(timeout=PATIENCE)
    settle(page)
    save = page.locator("[class*=st-key-save-] button").first.bounding_box()
    charts = [chart.bounding_box() for chart in page.locator(".stPlotlyChart").all()]
    assert all(box["y"] + box["height"] <= save["y"] + 1 for box in charts)
    page.context.close()
