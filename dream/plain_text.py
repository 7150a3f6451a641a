r"""Text from outside: what is no text is named before it is stored or tokenized, and what cannot be shown is escaped.

Half of a surrogate pair (JSON's "\ud83d" alone, a byte of a file name that is not UTF-8) is a Python string that no
file, tokenizer or terminal takes.
"""

import re

_HALVES = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BYTES = range(0xDC80, 0xDD00)  # bytes that are not UTF-8, as `surrogateescape` writes them


def fault_in(text: str) -> str:
    """What makes `text` unusable, e.g. `half of a character (U+D83D) at position 12`; empty if it is good."""
    match = _HALVES.search(text)
    if match is None:
        return ""
    code = ord(match.group())
    what = (
        f"a byte that is not UTF-8 (0x{code - 0xDC00:02x})" if code in _BYTES else f"half of a character (U+{code:X})"
    )
    return f"{what} at position {match.start() + 1}"


def printable(text: str, instead: str = "?") -> str:
    """`text` with control characters and halves of characters replaced; safe for terminals, files and pages."""
    return _UNPRINTABLE.sub(instead, text)
