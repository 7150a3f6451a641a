"""Types, chooses and reads on a page of the app, by widget key."""

import re

from playwright.sync_api import Page

from app.browsing import PATIENCE, settle, widget


def type_into(page: Page, key: str, text: str) -> None:
    """Types text into the box of that key and leaves the box."""
    box = widget(page, key).locator("input, textarea").first
    box.fill(text, timeout=PATIENCE)
    box.blur()
    settle(page)


def choose(page: Page, key: str, option: str) -> None:
    """Presses one of the segments of that key."""
    widget(page, key).get_by_text(option, exact=True).click(timeout=PATIENCE)
    settle(page)


def wait_for_text(page: Page, text: str) -> None:
    """Waits until the page shows text that matches the pattern."""
    page.get_by_text(re.compile(text)).first.wait_for(timeout=PATIENCE)
