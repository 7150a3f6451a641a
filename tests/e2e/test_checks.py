"""Masking, Checkpoints, Search and Data in a browser: first clicks, and a reload that shows the same."""

import pytest

from app.browsing import open_page, press, settle, widget
from tests.e2e.pages import choose, type_into, wait_for_text

pytestmark = pytest.mark.browser

ADDRESSES = {
    "masking": (
        "?in.masking.moment=77&in.masking.groups=8&in.masking.more=true&in.masking.masks=3",
        "At 77% of the training",
    ),
    "checkpoints": (
        "?in.checkpoints.path=demo&in.checkpoints.section=Positions&in.checkpoints.component=2",
        "Component 2",
    ),
    "search": ("?in.search.text=a+red+circle&in.search.hidden=50&in.search.count=24", "Pictures nearest to the text"),
    "data": ("?in.data.split=val&in.data.page=2&in.data.level=2", "Samples 13 to 24"),
}
"""By page: an address that says what to show, and words that then stand on the page."""


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_a_reload_and_a_second_tab_show_the_same(name, browser, address):
    query, words = ADDRESSES[name]
    for _ in range(2):
        page = open_page(browser, f"{address}/{name}{query}")
        for again in (False, True):
            if again:
                page.reload()
                settle(page)
            wait_for_text(page, words)
            assert set(query[1:].split("&")) <= set(page.url.partition("?")[2].split("&"))
        page.context.close()


def test_masking_draws_other_masks_and_goes_on_to_train(browser, address):
    page = open_page(browser, f"{address}/masking")
    strip = page.locator(".masks")
    strip.wait_for()
    before = strip.get_attribute("aria-label")
    press(page, "do.masking.again")
    page.wait_for_function("words => document.querySelector('.masks').ariaLabel !== words", arg=before)
    press(page, "do.masking.train")
    page.get_by_role("heading", name="Train", exact=True).wait_for()
    page.context.close()


def test_search_finds_pictures_for_an_example_and_shows_one_of_them(browser, address):
    page = open_page(browser, f"{address}/search?in.search.count=24")
    press(page, "do.search.example.0")
    wait_for_text(page, "Pictures nearest to the text")
    page.locator(".hits button").first.click()
    wait_for_text(page, "This picture, this text")
    assert "in.search.picture=" in page.url
    page.context.close()


def test_data_turns_its_pages_and_checkpoints_its_sections(browser, address):
    page = open_page(browser, f"{address}/data")
    wait_for_text(page, "Samples 1 to 12")
    press(page, "do.data.later")
    wait_for_text(page, "Samples 13 to 24")
    page.goto(f"{address}/checkpoints?in.checkpoints.path=demo")
    settle(page)
    choose(page, "in.checkpoints.section", "Layers")
    wait_for_text(page, "Non-finite")
    page.context.close()


@pytest.mark.parametrize("name", ADDRESSES)
def test_nothing_is_wider_than_a_telephone(name, browser, address):
    page = open_page(browser, f"{address}/{name}", size=(420, 900))
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    assert widget(page, "do.page.next").count() <= 1
    page.context.close()


def test_text_that_is_no_number_is_refused_where_it_is_typed(browser, address):
    page = open_page(browser, f"{address}/search")
    type_into(page, "in.search.count", "0")
    wait_for_text(page, "Maximum pictures must be a whole number from 1 to")
    page.context.close()
