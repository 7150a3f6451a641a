"""`as_text`: what Markdown makes of it is the text again; `tests/e2e/test_user_text.py` has what a browser shows."""

import html
import re

import pytest

from app.text import as_text
from tests.app.texts import TEXTS

mistune = pytest.importorskip("mistune")
READ = mistune.create_markdown(
    escape=False, plugins=["strikethrough", "url", "math", "footnotes", "table", "task_lists"]
)


@pytest.mark.parametrize("text", TEXTS)
def test_markdown_of_a_text_draws_that_text_alone(text):
    drawn = READ(as_text(text)).strip()
    inner = re.fullmatch(r"<p>([^<]*)</p>", drawn)
    assert inner, drawn
    assert html.unescape(inner[1]).replace("\u2060", "") == " ".join(text.split())


def test_a_text_stays_itself_between_other_words_and_inside_bold():
    drawn = READ(f"**{as_text('*a* _b_')}** on {as_text('1. x')}").strip()
    assert drawn == "<p><strong>*a* _b_</strong> on 1. x</p>"


@pytest.mark.parametrize("thing", [None, 3, 0.5, ("a", "*")])
def test_what_is_no_string_is_shown_as_python_writes_it(thing):
    assert html.unescape(READ(as_text(thing)).strip()) == f"<p>{thing}</p>"


def test_nothing_stays_nothing():
    assert as_text("") == as_text(" \n ") == ""
