"""Shows text of users and files as text: Streamlit reads labels, captions and messages as Markdown."""

import re

_MEANING = re.compile(r"([\\`*_\[\]<>$~|&^{}]|:(?=\S)|^[#+=-]|(?<=^\d)[.)]|(?<=^\d\d)[.)])")
_JOINED = re.compile(
    r"(?<=https)(?=:)|(?<=http)(?=:)|(?<=www)(?=\.)|(?=@)|(?<=-)(?=[->])|(?<=<)(?=-)|(?<=:)(?=[\w+/-]+:)", re.I
)
_JOINER = "\u2060"
"""Word joiner: has no width, and breaks no line."""


def as_text(text: object) -> str:
    """Markdown that shows `text` as it is written, on one line: no picture, link, formula, colour, icon or arrow of it.

    What Streamlit makes of plain text after it has read the Markdown (addresses become links, `->` an arrow) is kept
    apart by an invisible character.
    """
    return _MEANING.sub(r"\\\1", _JOINED.sub(_JOINER, " ".join(str(text).split())))
