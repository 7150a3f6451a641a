"""Markdown files and spreadsheets show text of users as text."""

import html
import re

import pytest

from dream.plain_text import cell_text, markdown_text, whole_number
from tests.app.texts import TEXTS

markdown_it = pytest.importorskip("markdown_it")


@pytest.mark.parametrize("place", ["{}", "### {}", "- {}", "| HEAD | {} |\n| --- | --- |\n"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_markdown_file_draws_each_text_as_it_is_written(text, place):
    drawn = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).render(place.format(markdown_text(text)))
    assert not re.search(r"<(a|img|strong|em|s|code|script|hr|blockquote|h[124-6]|pre)\b", drawn)
    assert drawn.count("<li>") == place.startswith("-") and drawn.count("<th>") == 2 * place.startswith("|")
    words = " ".join(html.unescape(re.sub("<[^>]*>", " ", drawn)).split())
    assert words.removeprefix("HEAD ") == " ".join(text.split())


@pytest.mark.parametrize("text", ["http://a.example", "see https://a.example", "www.a.example", "me@a.example"])
def test_an_address_in_a_markdown_file_becomes_no_link(text):
    assert not re.search(r"(https?|ftp):|www\.|@\w+\.", markdown_text(text).replace(r"\@", ""))


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "-2+3", "+1", "\t=1", " =WEBSERVICE(A1)", "-", "- a cat"])
def test_what_a_spreadsheet_would_compute_begins_with_an_apostrophe(text):
    assert cell_text(text) == (text if text == "+1" else f"'{text}")


@pytest.mark.parametrize("text", ["", "a red circle", "-0.5", "1e-3", "a = b", "inf"])
def test_other_cells_stay_as_they_are(text):
    assert cell_text(text) == text


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_a_whole_number_is_read(text, number):
    assert whole_number(text) == number


@pytest.mark.parametrize("text", ["", "-1", "1.5", " 1", "\u00b2", "\u0663", "1_0", "9" * 19, "1" + "0" * 5000])
def test_what_is_no_whole_number_of_usual_digits_is_none(text):
    assert whole_number(text) is None
