r"""Text from outside: what is no text is named before it is stored or tokenized, and what cannot be shown is escaped.

Half of a surrogate pair (JSON's "\ud83d" alone, a byte of a file name that is not UTF-8) is a Python string that no
file, tokenizer or terminal takes. What a Markdown file or a spreadsheet would read as more than text is kept apart.
"""

import re

from dream.errors import InputError

_HALVES = re.compile("[\ud800-\udfff]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f]")  # without those that are white space
_BYTES = range(0xDC80, 0xDD00)  # bytes that are not UTF-8, as `surrogateescape` writes them
_DRAWN = re.compile(r"([\\`*_\[\]<>$~|&^]|^[#+=-])")
_ADDRESS = re.compile(r"(?<=http)(?=:)|(?<=https)(?=:)|(?<=ftp)(?=:)|(?<=www)(?=\.)|(?=@[\w-]+\.)", re.I)
_NUMBERED = re.compile(r"^(\d+)(?=[.)])")
_MOST_DIGITS = 18
_FORMULA = re.compile(r"\s*[=+@-]|[\t\r]")  # signs with which spreadsheets begin a formula


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


def whole_number(text: str) -> int | None:
    """The whole number that a text writes in the digits 0 to 9; None for anything else, and for one beyond 10**18.

    Python takes other digits for numbers, and refuses to read thousands of them.
    """
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def require_text(text: str, what: str) -> str:
    """`text` itself; raises InputError, which calls it `what`, if it has half a character or a control character."""
    fault = fault_in(text)
    if not fault and (match := _CONTROL.search(text)):
        fault = f"a control character (U+{ord(match.group()):04X}) at position {match.start() + 1}"
    if fault:
        raise InputError(f"{what} is not plain text: it has {fault}; type it again, or save it as UTF-8")
    return text


def printable(text: str, instead: str = "?") -> str:
    """`text` with control characters and halves of characters replaced; safe for terminals, files and pages."""
    return _UNPRINTABLE.sub(instead, text)


def escaped(text: str) -> str:
    r"""`text` for a terminal: `\x1b` for a control character, `\xe9` for a byte of a name; tab and newline stay."""
    return _UNPRINTABLE.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if match.group() in "\t\n":
        return match.group()
    if code in _BYTES:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def markdown_text(text: str) -> str:
    """Markdown of a file that shows `text` as it is written, on one line: no picture, link or formula of it."""
    line = _DRAWN.sub(r"\\\1", " ".join(text.split()))
    return _NUMBERED.sub(r"\1\\", _ADDRESS.sub(r"\\", line))


def cell_text(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula: one that would begin like one gets an apostrophe."""
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
