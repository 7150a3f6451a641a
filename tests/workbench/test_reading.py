"""The prompt with its words marked, as HTML."""

import re

from dream.data.reading import PromptReader
from dream.data.text import train_tokenizer
from workbench.reading import reading_html, readings_html, remark_html, stored_remark

TOKENIZER = train_tokenizer(["a red circle", "a blue square"], 400, 12)
READER = PromptReader(TOKENIZER, TOKENIZER, TOKENIZER.words)


def plain(html: str) -> str:
    """The text of the HTML, with the marks as brackets."""
    inner = html.partition('dir="auto">')[2].partition("</div>")[0]
    return re.sub(r"<(/?)(\w+)[^>]*>", lambda tag: "]" if tag[1] else f"{tag[2]}[", inner)


def test_unseen_words_and_what_is_not_read_are_marked_in_place():
    assert reading_html(READER.read("a red circle")) == ""
    marked = reading_html(READER.read("a pink circle"))
    assert plain(marked) == "a mark[pink] circle" and "The model never saw: &#x27;pink&#x27;." in marked
    assert plain(reading_html(READER.read("a red circle a blue square a red square a blue square"))).endswith("square]")
    assert "s[" in plain(reading_html(READER.read("a red circle a blue square a red square a blue square")))


def test_markup_in_a_prompt_stays_text():
    html = reading_html(READER.read("<img src=x onerror=alert(1)> \x9b31m"))
    assert "<img" not in html and "&lt;" in html and "\x9b" not in html


def test_of_several_prompts_those_with_remarks_are_shown_and_counted():
    good, bad = READER.read("a red circle"), READER.read("a cube")
    assert readings_html([good, good]) == "" and readings_html([]) == ""
    several = readings_html([good, *[bad] * 7])
    assert "7 of 8 prompts" in several and several.count("<mark") == 5


def test_a_file_without_readings_or_with_damaged_ones_says_nothing():
    assert stored_remark({"readings": [READER.read("a cube").to_dict()]}) == "The model never saw: 'cube'."
    for readings in (None, [], {}, [3], [{"remark": 3}], [{}], "x"):
        assert stored_remark({"readings": readings}) == ""
    assert "&lt;b&gt;" in remark_html(["<b>"])
