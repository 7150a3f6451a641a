"""Text of users and files is shown as text: in a workspace full of Markdown, HTML and TeX, and with the same typed into
every field, no page draws any of it and no request leaves the app."""

import csv
import io
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Error, Locator, Page

from app.browsing import served, settle
from app.contents import PAGES
from tests.app.texts import TEXTS
from tests.e2e.hostile import Canary, furnish, listening
from tests.e2e.offences import Offence, listed, offences, watch
from workbench.workspace import Workspace

pytestmark = pytest.mark.browser
NAMES = [name for pages in PAGES.values() for name, _ in pages]
MOST_PRESSED = 40
"""Most segments pressed per page."""
WITH_TABLES = {"evaluate"}
"""Pages that show a table with a download to every walk."""
HELPED = "[data-testid=stTooltipHoverTarget]"
NAME_OF_HELPED = """target => {
  const place = target.closest("[class*=st-key-]");
  const words = (target.closest("[data-testid=stElementContainer]") || target).textContent;
  return (place ? place.className.match(/st-key-\\S+/)[0] : "") + words.slice(0, 40) + " ";
}"""
STILL = "[data-testid=stApp][data-test-script-state=notRunning]"
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


SCRIPT = """
import streamlit as st
from app.text import as_text
from tests.app.texts import TEXTS

st.tabs(["a", as_text(TEXTS[1])])
for number, text in enumerate(TEXTS):
    with st.container(key=f"here-{number}"):
        st.markdown(as_text(text))
        st.caption(as_text(text))
        st.button(as_text(text), key=f"button-{number}")
        st.error(as_text(text))
st.progress(0.5, text="END")
"""


def test_markdown_of_the_app_draws_each_text_as_it_is_written(browser, canary, tmp_path):
    script = tmp_path / "texts.py"
    script.write_text(SCRIPT)
    with served(tmp_path, script=script) as address:
        page = browser.new_page()
        watch(page, canary.host)
        page.goto(address)
        page.get_by_text("END").wait_for()
        settle(page)
        drawn = page.evaluate(DRAWN)
        page.close()
    odd = {}
    for number, text in enumerate(TEXTS):
        wanted = 4 * [[" ".join(text.split()), 0]]
        if (got := [[words.replace("\u2060", ""), count] for words, count in drawn[str(number)]]) != wanted:
            odd[text] = got
    assert not odd


@pytest.mark.parametrize("name", NAMES)
def test_text_of_users_is_shown_as_text(browser, address, canary, name):
    page = browser.new_page()
    page.set_default_timeout(WAIT)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    watch(page, canary.host)
    start = f"{address}/{'' if name == 'home' else name}"
    page.goto(start)
    walk = Walk(page, name, canary)
    view, key, values = chosen_first(canary).get(name, ("", "", []))
    for value in values:
        walk.choose(view, key, value)
    walk.go_everywhere()
    page.close()
    lines = listed(walk.found)
    assert not walk.faults, walk.faults
    assert walk.explained, "no help text was seen"
    assert walk.saved or name not in WITH_TABLES, "no table was downloaded"
    assert not lines, f"{len(lines)} places draw text of users:\n" + "\n".join(lines)
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")}
    assert hosts == {urlsplit(address).netloc} and not canary.asked
    assert walk.shown or name == "masking", "no text of users was shown at all"


def faults_of_markdown(text: str) -> set[str]:
    """What Markdown makes of a file besides tables, headings and lists."""
    html = MarkdownIt("gfm-like", {"linkify": False, "html": True}).render(text)
    assert "**b**" in html, "the file holds no text of users"
    return set(re.findall(r"<(?:a|b|img|strong|em|code)\b[^>]*>", html))


def faults_of_csv(text: str) -> set[str]:
    """Lines of another length than the first, and cells that a spreadsheet computes."""
    lines = list(csv.reader(io.StringIO(text, newline="")))
    odd = {f"{len(line)} cells: {line}" for line in lines if len(line) != len(lines[0])}
    return odd | {cell for line in lines for cell in line if re.match(r"\s*[=+@]|-(?![\d.])", cell)}


class Walk:
    """A walk through one page: everything unfolded, each segment pressed, each box filled."""

    def __init__(self, page: Page, name: str, canary: Canary) -> None:
        self.page, self.name, self.canary, self.start = page, name, canary, page.url
        self.found: set[Offence] = set()
        self.explained = 0
        """Help texts that were seen."""
        self.shown = False
        """Whether the page ever showed text of users."""
        self.opened = {"Export"}  # popovers; this one holds no text of users
        self.pressed: set[str] = set()
        self.hovered: set[str] = set()
        self.saved: set[str] = set()
        """Keys of the tables that were downloaded."""
        self.asked: set[str] = set()
        """Keys of the downloads that were pressed."""
        self.faults: list[str] = []
        """What is wrong with the files that were downloaded."""
        self.typed: set[str] = set()
        self.main = page.get_by_test_id("stMain")

    def look(self) -> None:
        """Waits for the page and notes what it drew."""
        self.page.wait_for_timeout(100)  # a click has to reach the server before the page is at work
        self.page.wait_for_selector(STILL, timeout=1000 * 180)
        self.found |= offences(self.page, self.name)
        self.shown = self.shown or "**b**" in self.main.inner_text()

    def go_everywhere(self) -> None:
        """Unfolds everything and types into every box, in every view of the page."""
        self._unfold()
        self._type_into_boxes()
        for _ in range(MOST_PRESSED):
            fresh = [(word, button) for word, button in self._segments() if word not in self.pressed]
            if not fresh:
                return
            word, button = fresh[-1]  # the innermost first, while it is there
            self.pressed.add(word)
            self._click(button)
            self._unfold()
            self._type_into_boxes()

    def choose(self, view: str, key: str, value: str) -> None:
        """Types a value into the box of that key in a view, and shows what it opens in each view that is left."""
        for _, button in [(word, button) for word, button in self._segments() if word == view]:
            self._click(button)
        box = self.page.locator(f".st-key-{re.sub(r'[^A-Za-z0-9_-]', '-', key)} input")
        self._fill(box.first, value)
        for word, _ in self._segments() if not view else []:
            for _, button in [(other, button) for other, button in self._segments() if other == word]:
                self._click(button)
                self._unfold()

    def _type_into_boxes(self) -> None:
        """Types the hostile text into each new box, submits, and puts the old value back."""
        for _ in range(MOST_PRESSED):
            boxes = [(key, box) for key, box in self._boxes() if key not in self.typed]
            if not boxes:
                return
            key, box = boxes[0]
            self.typed.add(key)
            before = box.input_value()
            self._fill(box, self.canary.text("typed"))
            if key.startswith("textbox"):
                self._submit()
            again = [box for other, box in self._boxes() if other == key]
            if again and before:
                self._fill(again[0], before)

    def _submit(self) -> None:
        """Presses the page's main button, if it can be pressed; comes back from a page that this opens."""
        for button in self.main.locator("[data-testid^=stBaseButton-primary]:enabled").all()[:1]:
            self._click(button)
            self.page.wait_for_timeout(1500)
            self._unfold()
        if urlsplit(self.page.url).path != urlsplit(self.start).path:
            self.page.goto(self.start)
            self._unfold()

    def _fill(self, box: Locator, value: str) -> None:
        with suppress(Error):  # the page has drawn it anew
            box.fill(value, timeout=QUICK)
            box.press("Control+Enter" if box.evaluate("box => box.tagName") == "TEXTAREA" else "Enter", timeout=QUICK)
            box.blur(timeout=QUICK)
        self._unfold()

    def _click(self, element: Locator) -> None:
        with suppress(Error):  # the page has drawn it anew
            element.click(timeout=QUICK)
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
                self._save_tables()
                self.page.keyboard.press("Escape")
        self._save_tables()
        self._hover()
        self.look()

    def _hover(self) -> None:
        """Shows each help text once."""
        for target in self.main.locator(HELPED).all():
            name = ""
            with suppress(Error):
                name = target.evaluate(NAME_OF_HELPED, timeout=QUICK) if target.is_visible() else ""
            if name and name not in self.hovered:
                self.hovered.add(name)
                with suppress(Error):  # the page has drawn it anew, or something lies over it
                    target.hover(timeout=QUICK)
                    self.page.locator("[data-testid=stTooltipContent]").first.wait_for(timeout=QUICK)
                    self.found |= offences(self.page, self.name)
                    self.explained += 1
        self.page.mouse.move(0, 0)

    def _save_tables(self) -> None:
        """Presses each download of a table once, and checks the file."""
        for button in self.page.locator("[data-testid=stDownloadButton] button:enabled").all():
            word = key = ""
            with suppress(Error):  # the page has drawn it anew
                word = button.inner_text(timeout=QUICK).strip() if button.is_visible() else ""
                key = button.evaluate(NAME_OF_BOX, timeout=QUICK)
            if not key or not re.search("CSV|Markdown", word) or key in self.asked:
                continue
            self.asked.add(key)
            with suppress(Error), self.page.expect_download(timeout=WAIT) as asked:
                button.click(timeout=QUICK)
                self.saved.add(key)
            if key not in self.saved:  # the page has drawn it anew
                continue
            content = Path(asked.value.path()).read_text()
            check = faults_of_markdown if asked.value.suggested_filename.endswith(".md") else faults_of_csv
            self.faults += [f"{self.name}, {word}: {fault}" for fault in check(content)]

    def _segments(self) -> list[tuple[str, Locator]]:
        """Words and buttons of all segmented controls from which one is chosen."""
        buttons = self.main.locator("[data-testid=stButtonGroup] [role=radio]:enabled").all()
        return [(word, button) for button in buttons if (word := button.inner_text().strip())]

    def _boxes(self) -> list[tuple[str, Locator]]:
        """Keys and boxes for text that can be seen; of the boxes to choose from those that take other values, too."""
        boxes = self.main.locator("textarea, input[type=text], input:not([type])").all()
        seen = [box for box in boxes if box.is_visible() and box.is_enabled()]
        named = [(box.evaluate(NAME_OF_BOX), box) for box in seen]
        return [(key, box) for key, box in named if key.startswith("textbox") or re.search(TAKES_OTHERS, key)]


TAKES_OTHERS = r"-(model|path|source|tag|other|data|watch)s?\b"
NAME_OF_BOX = """box => {
  const [keyed, free] = ["[class*=st-key-]", "[data-testid=stTextInput], [data-testid=stTextArea]"].map((name) =>
    box.closest(name));
  const key = keyed ? keyed.className.match(/st-key-\\S+/)[0] : "";
  return (free ? "textbox " : "choice ") + (box.getAttribute("aria-label") || "") + " " + key;
}"""
DRAWN = """() => Object.fromEntries([...document.querySelectorAll("[class*=st-key-here-]")].map((place) => [
  place.className.match(/st-key-here-(\\d+)/)[1],
  [...place.querySelectorAll("[data-testid=stMarkdownContainer], [data-testid=stCaptionContainer]")].map((one) =>
    [one.textContent.trim(), one.querySelectorAll("a, img, strong, em, del, .katex, li, code, h1, h2, table").length])
]))"""
"""By number of a text: what is written at each place, and how many elements stand for more than text."""
