"""Pressing, typing and reading on a page of the app, by the keys of its widgets."""

import re

from playwright.sync_api import Locator, Page

from app.browsing import settle

PATIENCE = 120_000
"""Milliseconds for what a busy machine takes; nothing here measures time."""


def widget(page: Page, key: str) -> Locator:
    """The widget of that key."""
    return page.locator(f".st-key-{re.sub(r'[^A-Za-z0-9_-]', '-', key)}")


def press(page: Page, key: str) -> None:
    """Presses the button of that key, once it is there and can be pressed."""
    button = widget(page, key).locator("button").first
    button.wait_for(timeout=PATIENCE)
    page.wait_for_function("button => !button.disabled", arg=button.element_handle(), timeout=PATIENCE)
    button.click(timeout=PATIENCE)
    settle(page)


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
