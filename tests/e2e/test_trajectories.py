"""A stranger's first visit to Trajectories, and a reload and a second tab of every state of it."""

import pytest

from app.browsing import PATIENCE, open_page, press, settle
from tests.e2e.pages import wait_for_text

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def first(browser, address):
    """The page after its first visit in an empty workspace, where it paints an example and finishes all candidates."""
    page = open_page(browser, f"{address}/trajectories")
    page.locator(".dp-choose").wait_for(timeout=PATIENCE)
    settle(page)
    return page


def result(page) -> str:
    return page.locator(".dp-choose-result").inner_text()


def test_the_first_visit_shows_a_race_in_which_the_choice_helps(first):
    assert result(first).startswith("Candidate 8 is chosen: right. 2 of 8 are right")
    assert first.locator(".dp-won").count() == 1 and first.locator(".dp-flag:visible").inner_text() == "chosen"
    assert first.get_by_text("How often does this help?").count() == 1
    assert first.get_by_text("come out right without choosing").count() == 1


def test_step_and_choice_survive_a_reload_and_open_in_a_second_tab(first, browser):
    slider = first.get_by_role("slider", name="Choose after step")
    slider.focus()
    first.keyboard.press("ArrowLeft")
    moved = result(first)
    first.wait_for_function("location.search.includes('trajectories.choice=4')")
    first.locator(".dp-transport button").first.click()  # one step back
    first.wait_for_function("location.search.includes('trajectories.step=7')")
    first.reload()
    tab = open_page(browser, first.url)
    for page in (first, tab):
        page.locator(".dp-choose").wait_for(timeout=PATIENCE)
        settle(page)
        assert result(page) == moved
        assert page.locator(".dp-readouts output").first.inner_text() == "7 / 8"
    assert first.url == tab.url
    tab.context.close()


def test_views_and_settings_open_from_a_link(browser, address, first):
    start = f"{address}/trajectories?in.trajectories"
    drawn = "in.trajectories.model=demo&in.trajectories.count=2&in.trajectories.steps=4"
    page = open_page(browser, f"{start}.view=Many+prompts&{drawn}")
    press(page, "do.trajectories.study")
    wait_for_text(page, "chosen after step")
    settle(page)
    page.reload()
    wait_for_text(page, "2 prompts, 8 candidates each")
    page.goto(f"{start}.view=Stored&in.trajectories.query=crab")
    wait_for_text(page, "crab, glossy")
    page.goto(f"{start}.steps=99&in.trajectories.model=nowhere&in.trajectories.shown=../../etc&in.trajectories.step=x")
    settle(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.locator("[data-testid=stAlert]").count() >= 1
    page.context.close()
