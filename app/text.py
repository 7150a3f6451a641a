"""Shows text of users and files as text: Streamlit reads labels, captions and messages as Markdown."""

import re

_MEANING = re.compile(r"([\\`*_\[\]<>$~|&^{}]|:(?=\S)|^[#+=-])")
_NUMBERED = re.compile(r"^(\d+)(?=[.)])")
_JOINED = re.compile(
    r"(?<=https)(?=:)|(?<=http)(?=:)|(?<=www)(?=\.)|(?=@)|(?<=-)(?=[->])|(?<=<)(?=-)|(?<=[<>~])(?==)|(?<=:)(?=[\w+/-]+:)",
    re.I,
)
_JOINER = "\u2060"
"""Word joiner: has no width, and breaks no line."""


def as_text(text: object) -> str:
    """Markdown that shows `text` as it is written, on one line: no picture, link, formula, colour, icon or arrow of it.

    What Streamlit makes of plain text after it has read the Markdown (addresses become links, `->` and `>=` signs) is
    kept apart by an invisible character.
    """
    line = _JOINED.sub(_JOINER, " ".join(str(text).split()))
    return _NUMBERED.sub(r"\1\\", _MEANING.sub(r"\\\1", line))
