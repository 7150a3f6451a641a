"""What every stored source offers: shards of rows, each a captioned picture that is read when it is wanted.

It knows no file format; `shards.py`, `folders.py` and `hub.py` each implement `Corpus` for one.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from dream.data.report import BROKEN_CAPTION, EMPTY_CAPTION, DataReport

PICTURES = (".jpg", ".jpeg", ".png", ".webp")
"""Endings of pictures in folders and shards (any case)."""
CAPTION_KEYS = ("caption", "text")
"""Fields of a JSON object (and columns) that may hold the caption, in order of preference."""
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


class BadSample(Exception):
    """A sample that cannot be used: the kind of problem (`report.KINDS`) and the reason."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class Row(Protocol):
    """One captioned picture, not read yet. Both readers raise BadSample."""

    @property
    def shard(self) -> str:
        """Name of the shard, as reports show it."""

    @property
    def key(self) -> str:
        """Name within the shard."""

    def picture(self) -> bytes:
        """The picture's file."""

    def caption(self) -> str:
        """The cleaned caption."""


class Corpus(Protocol):
    """Rows in shards. The order of shards, and of rows in a shard, is the same every time."""

    @property
    def name(self) -> str:
        """What the user called it."""

    @property
    def shards(self) -> Sequence[str]:
        """Names of the shards."""

    @property
    def window_rows(self) -> int:
        """Rows that are shuffled together (what of them is held in memory is the corpus's own business)."""

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        """The rows of a shard from row `start` on; what is not even a row goes to `report`."""

    def count(self, shard: int) -> int | None:
        """Rows of a shard, or none when that is not known without reading all of it."""

    def hint(self) -> str:
        """What to tell a user when there is not one row: what is there, and what was expected."""


def sample_id(row: Row) -> str:
    """The name of a sample in batches, e.g. "emoji-train-000000.tar/1f60d"."""
    return f"{row.shard}/{row.key}"


def clean_caption(text: str) -> str:
    """`text` with single blanks for white space. Raises BadSample when it is empty or unprintable."""
    text = " ".join(text.split())
    if not text:
        raise BadSample(EMPTY_CAPTION)
    if found := CONTROL.search(text):
        raise BadSample(BROKEN_CAPTION, f"control character {found.group()!r}")
    return text


def decode_caption(content: bytes) -> str:
    """The caption in the bytes of a text file. Raises BadSample as `clean_caption`, and if it is no UTF-8."""
    try:
        return clean_caption(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadSample(BROKEN_CAPTION, f"no UTF-8 at byte {error.start}") from None


def caption_in(record: object) -> str:
    """The caption of a JSON object (or row of columns): the first of CAPTION_KEYS it has. Raises BadSample.

    Of a list of captions (as COCO's) the first counts.
    """
    fields = record if isinstance(record, dict) else {}
    found = next((fields[key] for key in CAPTION_KEYS if fields.get(key) is not None), None)
    if isinstance(found, (list, tuple)):
        found = found[0] if found else ""
    if found is None:
        raise BadSample(EMPTY_CAPTION, f"no '{CAPTION_KEYS[0]}' in it")
    if not isinstance(found, str):
        raise BadSample(BROKEN_CAPTION, f"the caption is no text but {type(found).__name__}")
    return clean_caption(found)


def id_hash(name: str) -> int:
    """A number in [0, 2^32) that spreads names evenly, the same in every process (Python's `hash` is not)."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=4).digest()
    return int.from_bytes(digest, "big")
