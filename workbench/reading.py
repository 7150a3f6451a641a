"""What a model reads of a prompt, as HTML for pages and notebooks: the prompt with its words marked, and a sentence.

The marks look like those of a caption's tokens on the Data page.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from dream.data.reading import PromptReading, shortened
from dream.plain_text import printable
from workbench.runs.words import sentence

UNREAD_SHOWN = 300
"""Most characters shown of what is not read."""
MOST_READINGS = 5
"""Most prompts of a list that are shown with their marks."""
STYLE = """<style>
.reading { font-size: .85rem; line-height: 1.5; border-left: 3px solid #D55E00; padding: .1rem 0 .1rem .7rem;
  margin: .1rem 0 .4rem; overflow-wrap: anywhere; }
.reading .read-prompt { unicode-bidi: plaintext; max-height: 9rem; overflow-y: auto; }
.reading mark { color: inherit; background: rgba(213,94,0,.14); border-bottom: 2px dashed #D55E00;
  border-radius: .2rem; padding: 0 .1rem; }
.reading s { opacity: .65; text-decoration-color: #2F7FC1; text-decoration-thickness: 2px; }
.reading .remark { font-size: .78rem; opacity: .85; margin-top: .2rem; }
</style>"""


def reading_html(reading: PromptReading) -> str:
    """The prompt with unseen words dashed in orange and what is not read struck through; empty if all is well."""
    if not reading.remark:
        return ""
    extents = [extent.characters for extent in (reading.painted, reading.scored) if extent is not None]
    return _box(_marked(reading, min(extents, default=len(reading.prompt))), reading.remark)


def readings_html(readings: Sequence[PromptReading]) -> str:
    """Those of several prompts that there is something to say about, and how many there are."""
    remarkable = [reading for reading in readings if reading.remark]
    if not remarkable:
        return ""
    if len(readings) == 1:
        return reading_html(remarkable[0])
    more = len(remarkable) - MOST_READINGS
    shown = "".join(map(reading_html, remarkable[:MOST_READINGS]))
    rest = f" Here are the first {MOST_READINGS}." if more > 0 else ""
    count = f"{len(remarkable)} of {len(readings)} prompts are not read to their end, or have unseen words.{rest}"
    return f'<div class="reading-list"><small>{count}</small>{shown}</div>'


def stored_remark(about: Mapping[str, Any]) -> str:
    """What a stored decode or a file says of the reading of its prompt, as a sentence; empty if it says nothing."""
    readings = about.get("readings")
    first = readings[0] if isinstance(readings, list) and readings else None
    remark = first.get("remark") if isinstance(first, dict) else None
    return sentence(printable(remark)) if isinstance(remark, str) else ""


def remark_html(remarks: Iterable[str]) -> str:
    """Sentences below each other, as plain text."""
    return "".join(f'{STYLE}<div class="reading"><div class="remark">{escape(one)}</div></div>' for one in remarks)


def _box(prompt: str, remark: str) -> str:
    return (
        f'{STYLE}<div class="reading"><div class="read-prompt" dir="auto">{prompt}</div>'
        f'<div class="remark">{escape(sentence(remark))}</div></div>'
    )


def _marked(reading: PromptReading, end: int) -> str:
    """The prompt in HTML; what is beyond the character `end` is not read."""
    parts, at, text = [], 0, printable(reading.prompt)
    for word in reading.words:
        why = reading.meaning if word.unseen else "the decoder has no token for it" if word.lost else ""
        if not word.read or not why:
            continue
        parts.append(escape(text[at : word.start]))
        at = min(word.end, end)
        parts.append(f'<mark title="{escape(why)}">{escape(text[word.start : at])}</mark>')
    parts.append(escape(text[at:end]))
    if end < len(text):
        whole = reading.painted is None or reading.painted.characters <= end
        why = "not read by the model" if whole else "not read for the alignment score"
        parts.append(f'<s title="{why}">{escape(shortened(text[end:], UNREAD_SHOWN))}</s>')
    return "".join(parts)
