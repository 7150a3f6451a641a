"""Text of users and files is shown as text: in a workspace full of Markdown, HTML and TeX, and with the same typed into
every field, no page draws any of it and no request leaves the app."""

import re
import subprocess
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Error, Locator, Page

from app.browsing import served, settle
from app.contents import PAGES
from tests.e2e.hostile import Canary, furnish, listening
from tests.e2e.offences import Offence, listed, offences, watch
from workbench.workspace import Workspace

pytestmark = pytest.mark.browser
NAMES = [name for pages in PAGES.values() for name, _ in pages]
MOST_PRESSED = 40
"""Most segments pressed per page."""
WAIT, QUICK = 15_000, 2_000
"""Milliseconds that a page, and an element that was just there, have to answer."""


def chosen_first(canary: Canary) -> dict[str, tuple[str, str, list[str]]]:
    """By page: a segment, the key of a box in it, and values; each is chosen, then the page is walked through."""
    runs = [canary.name(mark) for mark in ("run", "second", "broken", "never began")]
    files = [f"files/{canary.name(mark)}.safetensors" for mark in ("one", "damaged")]
    return {
        "checkpoints": ("", "in.checkpoints.path", [*files, "files/dtype.safetensors", f"runs/{runs[0]}"]),
        "train": ("Watch", "in.train.watch", runs),
        "data": ("", "in.data.source", ["pictures"]),
        "search": ("", "in.search.source", ["pictures"]),
    }


@pytest.fixture(scope="module")
def canary():
    with listening() as found:
        yield found


@pytest.fixture(scope="module")
def address(tmp_path_factory, canary):
    """The app on a workspace of hostile texts; a job counts as running, so that nothing queued begins."""
    root = tmp_path_factory.mktemp("hostile")
    busy = subprocess.Popen(["sleep", "3600"], start_new_session=True, stdout=subprocess.DEVNULL)
    furnish(Workspace(root), canary, busy.pid)
    try:
        with served(root) as found:
            yield found
    finally:
        for file in (root / ".workbench" / "jobs").glob("*.json"):
            file.unlink()
        busy.kill()
        busy.wait()


@pytest.mark.parametrize("name", NAMES)
def test_text_of_users_is_shown_as_text(browser, address, canary, name):
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    watch(page, canary.host)
    page.goto(f"{address}/{'' if name == 'home' else name}")
    walk = Walk(page, name, canary)
    walk.look_around()
    view, key, values = chosen_first(canary).get(name, ("", "", []))
    for value in values:
        walk.choose(view, key, value)
    walk.type_everywhere()
    page.close()
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")}
    lines = listed(walk.found)
    assert not lines, f"{len(lines)} places draw text of users:\n" + "\n".join(lines)
    assert hosts == {urlsplit(address).netloc} and not canary.asked


class Walk:
    """A walk through one page: everything unfolded, each segment pressed, each box filled."""

    def __init__(self, page: Page, name: str, canary: Canary) -> None:
        self.page, self.name, self.canary = page, name, canary
        self.found: set[Offence] = set()
        self.opened = {"Save", "Export"}  # popovers; these hold no text of users
        self.main = page.get_by_test_id("stMain")

    def look(self) -> None:
        """Waits for the page and notes what it drew."""
        settle(self.page)
        self.found |= offences(self.page, self.name)

    def look_around(self) -> None:
        """Unfolds everything in every view of the page."""
        pressed: set[str] = set()
        self._unfold()
        for _ in range(MOST_PRESSED):
            fresh = [(word, button) for word, button in self._segments() if word not in pressed]
            if not fresh:
                return
            word, button = fresh[-1]  # the innermost first, while it is there
            pressed.add(word)
            self._click(button)
            self._unfold()

    def choose(self, view: str, key: str, value: str) -> None:
        """Types a value into the box of that key in a view, and walks on."""
        for _, button in [(word, button) for word, button in self._segments() if word == view]:
            self._click(button)
        box = self.page.locator(f".st-key-{re.sub(r'[^A-Za-z0-9_-]', '-', key)} input")
        if box.count():
            self._fill(box.first, value)
            self.look_around()

    def type_everywhere(self) -> None:
        """Types the hostile text into each box in each view, submits, and puts the old value back."""
        typed: set[str] = set()
        views: set[str] = set()
        for _ in range(MOST_PRESSED):
            self._type_into_boxes(typed)
            fresh = [(word, button) for word, button in self._segments() if word not in views]
            if not fresh:
                return
            views.add(fresh[0][0])
            self._click(fresh[0][1])
            self._unfold()

    def _type_into_boxes(self, typed: set[str]) -> None:
        for _ in range(MOST_PRESSED):
            boxes = [(key, box) for key, box in self._boxes() if key not in typed]
            if not boxes:
                return
            key, box = boxes[0]
            typed.add(key)
            before = box.input_value()
            self._fill(box, self.canary.text("typed"))
            asks = "textbox" in key.lower() and self.main.locator("[data-testid^=stBaseButton-primary]:enabled")
            for button in asks.all()[:1] if asks else []:
                self._click(button)
                self.page.wait_for_timeout(1500)
                self.look()
            again = [box for other, box in self._boxes() if other == key]
            if again and before:
                self._fill(again[0], before)

    def _fill(self, box: Locator, value: str) -> None:
        try:
            box.fill(value, timeout=QUICK)
            box.press("Control+Enter" if box.evaluate("box => box.tagName") == "TEXTAREA" else "Enter", timeout=QUICK)
            box.blur(timeout=QUICK)
        except Error:  # the page has drawn it anew
            pass
        self.page.wait_for_timeout(400)
        self._unfold()

    def _click(self, element: Locator) -> None:
        try:
            element.click(timeout=QUICK)
        except Error:  # the page has drawn it anew
            pass
        self.look()

    def _unfold(self) -> None:
        """Opens every expander, and shows what each popover holds."""
        self.look()
        folded = self.main.locator("details:not([open]) > summary")
        for _ in range(folded.count()):
            if folded.count():
                self._click(folded.first)
        for popover in self.main.locator("[data-testid=stPopover]").all():
            button = popover.locator("button:enabled").first
            word = button.inner_text().split("\n")[0] if button.count() and button.is_visible() else ""
            if word and word not in self.opened:
                self.opened.add(word)
                self._click(button)
                self.page.keyboard.press("Escape")
        self.look()

    def _segments(self) -> list[tuple[str, Locator]]:
        """Words and buttons of all segmented controls."""
        buttons = self.main.locator("[data-testid^=stBaseButton-segmented_control]:enabled").all()
        return [(button.inner_text(), button) for button in buttons]

    def _boxes(self) -> list[tuple[str, Locator]]:
        """Keys and boxes for text that can be seen."""
        boxes = self.main.locator("textarea, input[type=text], input:not([type])").all()
        seen = [box for box in boxes if box.is_visible() and box.is_enabled()]
        return [(box.evaluate(NAME_OF_BOX), box) for box in seen]


NAME_OF_BOX = """box => {
  const [keyed, free] = ["[class*=st-key-]", "[data-testid=stTextInput], [data-testid=stTextArea]"].map((name) =>
    box.closest(name));
  return (free ? "textbox " : "choice ") + (box.getAttribute("aria-label") || "") + (keyed ? keyed.className : "");
}"""
