"""Typing, choosing and reading on a page of the app, by the keys of its widgets."""

import re

from playwright.sync_api import Page

from app.browsing import PATIENCE, settle, widget


def type_into(page: Page, key: str, text: str) -> None:
    """Puts text into the box of that key and leaves it."""
    box = widget(page, key).locator("input, textarea").first
    box.fill(text, timeout=PATIENCE)
    box.blur()
    settle(page)


def choose(page: Page, key: str, option: str) -> None:
    """Presses one of the segments of that key."""
    widget(page, key).get_by_text(option, exact=True).click(timeout=PATIENCE)
    settle(page)


def wait_for_text(page: Page, text: str) -> None:
    """Waits until the page says so."""
    page.get_by_text(re.compile(text)).first.wait_for(timeout=PATIENCE)
