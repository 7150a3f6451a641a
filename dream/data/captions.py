"""Finds the caption of a sample in bytes, JSON objects, table rows and columns, by the usual names or those given."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from dream.data.formats import (
    CAPTION_ENDINGS,
    CAPTION_NAMES,
    FILE_NAMES,
    JSON_ENDING,
    OTHER_PICTURES,
    PICTURE_NAMES,
    PICTURES,
    ending_of,
)
from dream.data.report import BROKEN_CAPTION, EMPTY_CAPTION, MISSING_MEMBER
from dream.data.samples import BadSample, clean_caption
from dream.json_text import parse_json
from dream.pointer_files import pointer_fault

_IN_ENTRIES = ("raw", *CAPTION_NAMES)
_DEEPEST = 4
_LISTED = 12
_ENCODINGS = {
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}


class Caption(str):
    """The first caption of a list, which knows the others; used as a text, it is that caption alone.

    Training reads the first of a picture's captions (COCO has five), and retrieval counts all of them.
    """

    every: tuple[str, ...]
    """All usable captions of the list, in its order."""

    @classmethod
    def of(cls, captions: tuple[str, ...]) -> Self:
        """The caption of a list with at least one."""
        caption = cls(captions[0])
        caption.every = captions
        return caption


def every_caption(caption: str) -> tuple[str, ...]:
    """All captions of the list that `caption` (as `Row.caption` returns it) was in; else itself alone."""
    return caption.every if isinstance(caption, Caption) else (caption,)


@dataclass(frozen=True, slots=True)
class Names:
    """Names of a source's captions and pictures, as `data.caption` and `data.picture` give them; empty: the usual."""

    caption: str = ""
    """Field, column or file ending."""
    picture: str = ""
    """Field, column or (in tars) file ending."""

    @property
    def fields(self) -> tuple[str, ...]:
        """Fields or columns that may hold the caption, in order of preference."""
        return (self.caption,) if self.caption else CAPTION_NAMES

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings of text files that may hold the caption, in order of preference."""
        return (f".{self.caption.lstrip('.').lower()}",) if self.caption else CAPTION_ENDINGS

    @property
    def files(self) -> tuple[str, ...]:
        """Fields of metadata that may name the picture's file, in order of preference."""
        return (self.picture,) if self.picture else FILE_NAMES

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that may hold the picture, in order of preference."""
        return (self.picture,) if self.picture else PICTURE_NAMES

    def role(self, file: str) -> str | None:
        """Role of a file in its sample: `image`, `other` (a picture that is not decoded), `record` or a text's ending.

        `None` for files of other kinds.
        """
        ending = ending_of(file)
        if ending in self.endings:
            return ending
        if self.picture and f".{self.picture.lstrip('.').lower()}" in PICTURES:  # one of several pictures per sample
            return "image" if ending == f".{self.picture.lstrip('.').lower()}" else None
        if ending in PICTURES:
            return "image"
        return "other" if ending in OTHER_PICTURES else "record" if ending == JSON_ENDING else None


USUAL = Names()
"""No name is given."""


def caption_in(record: object, names: Names = USUAL) -> str:
    """The caption of a JSON object or row of columns: the first usable text in the fields that `names` has.

    The value may be a text, the bytes of a text file, or a list of captions (as in COCO), each a text or an object with
    one. Raises BadSample: a missing member without such a field, else an empty or a broken caption.
    """
    fields = record if isinstance(record, dict) else {}
    keys = present_names(fields, names.fields)
    if not keys:
        raise BadSample(MISSING_MEMBER, f"no field {any_of(names.fields)} for the caption; it has {listed(fields)}")
    texts = itertools.chain.from_iterable(_texts(fields[key]) for key in keys)
    first = first_usable(partial(_clean, text) for text in texts)
    usable = next(each for key in keys if (each := tuple(_usable(_texts(fields[key])))))
    return Caption.of(usable) if len(usable) > 1 else first


def first_usable(readers: Iterable[Callable[[], str]]) -> str:
    """The result of the first reader that raises no BadSample; else raises that of a broken one, or of the first."""
    faults = []
    for read in readers:
        try:
            return read()
        except BadSample as bad:
            faults.append(bad)
    raise min(faults, key=lambda bad: bad.kind != BROKEN_CAPTION, default=BadSample(EMPTY_CAPTION))


def decode_caption(content: bytes) -> str:
    """The caption in the bytes of a text file. Raises BadSample like `clean_caption`, and if they are no text.

    UTF-8 is expected; UTF-16 and UTF-32 need a byte order mark.
    """
    if fault := pointer_fault(content):
        raise BadSample(BROKEN_CAPTION, fault)
    encoding = encoding_of(content)
    try:
        return clean_caption(content.decode(encoding))
    except UnicodeDecodeError as error:
        name = encoding.removesuffix("-sig").upper()
        raise BadSample(BROKEN_CAPTION, f"not {name} at byte {error.start}") from None


def json_caption(content: bytes, name: str, names: Names = USUAL) -> str:
    """The caption in the bytes of the JSON file `name`. Raises BadSample."""
    if fault := pointer_fault(content):
        raise BadSample(BROKEN_CAPTION, f"{name} is {fault}")
    try:
        record = parse_json(content)
    except ValueError as error:  # not JSON, or not text
        raise BadSample(BROKEN_CAPTION, f"{name} is not JSON: {error}") from None
    try:
        return caption_in(record, names)
    except BadSample as bad:
        raise BadSample(bad.kind, f"{name}: {bad.detail}".removesuffix(": ")) from None


def encoding_of(start: bytes) -> str:
    """Python's name of the encoding that a file's first bytes announce; UTF-8 without a byte order mark."""
    return next((name for mark, name in _ENCODINGS.items() if start.startswith(mark)), "utf-8-sig")


def present_names(present: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Those of `present` that are one of the `wanted` names in any case, in the order of `wanted`."""
    spellings: dict[str, list[str]] = {}
    for name in present:
        spellings.setdefault(name.strip().casefold(), []).append(name)
    return [
        spelling
        for name in wanted
        for spelling in sorted(spellings.get(name.strip().casefold(), ()), key=lambda spelling: spelling != name)
    ]


def any_of(names: Sequence[str]) -> str:
    """Names as a sentence lists what was expected, e.g. `'caption', 'text' or 'prompt'`."""
    quoted = [f"'{name}'" for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def listed(names: Iterable[str]) -> str:
    """The first names as a sentence lists what is there; `nothing` if there are none."""
    first = list(itertools.islice(names, _LISTED + 1))
    return ", ".join([*first[:_LISTED], *(["..."] if len(first) > _LISTED else [])]) or "nothing"


def _texts(value: Any, depth: int = 0) -> Iterator[Any]:
    """Every value that may be a caption, in order; others as they are, so that the reason names them."""
    inner: Iterable[Any]
    if value is None:
        return
    if isinstance(value, (list, tuple)) and depth < _DEEPEST:
        inner = value
    elif isinstance(value, Mapping) and depth < _DEEPEST:
        inner = [value[key] for key in present_names(value, _IN_ENTRIES)]
        if not inner:
            yield value
    else:
        yield value
        return
    for each in inner:
        yield from _texts(each, depth + 1)


def _usable(texts: Iterable[Any]) -> Iterator[str]:
    """The cleaned captions among the values; broken ones are left out."""
    for text in texts:
        with contextlib.suppress(BadSample):
            yield _clean(text)


def _clean(text: Any) -> str:
    if isinstance(text, bytes):
        return decode_caption(text)
    if not isinstance(text, str):
        raise BadSample(BROKEN_CAPTION, f"the caption is not text but {type(text).__name__}")
    return clean_caption(text)
