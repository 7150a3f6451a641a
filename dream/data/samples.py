"""The interface of stored sources: shards of rows, each a captioned picture that is read on demand.

`shards.py`, `folders.py` and `hub.py` implement `Corpus`, each for one format.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from dream.data.report import BROKEN_CAPTION, EMPTY_CAPTION, DataReport
from dream.plain_text import fault_in

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_INVISIBLE = re.compile(
    "[\\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0]*"
)
"""Characters that leave no mark on a page: spaces of no width, directions, fillers."""


class BadSample(Exception):
    """Raised for a sample that cannot be used, with the kind of problem (`report.KINDS`) and the reason."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


class Row(Protocol):
    """One captioned picture, not read yet. `picture` and `caption` raise BadSample."""

    @property
    def shard(self) -> str:
        """Name of the shard, as reports show it."""

    @property
    def key(self) -> str:
        """Name within the shard."""

    def picture(self) -> bytes:
        """Content of the picture's file."""

    def caption(self) -> str:
        """The cleaned caption."""


class Corpus(Protocol):
    """Rows in shards. The order of the shards, and of the rows in a shard, never changes."""

    @property
    def name(self) -> str:
        """The name that the user gave."""

    @property
    def shards(self) -> Sequence[str]:
        """Names of the shards."""

    @property
    def window_rows(self) -> int:
        """Number of rows that are shuffled together."""

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        """Rows of a shard from row `start` on; entries that are not even a row go to `report`."""

    def count(self, shard: int) -> int | None:
        """Number of rows in a shard, or `None` if that is unknown without reading all of it."""

    def hint(self) -> str:
        """For a user whose source has no row: what it holds, and what was expected."""


def sample_id(row: Row) -> str:
    """Name of a sample in batches, e.g. "emoji-train-000000.tar/1f60d"."""
    return f"{row.shard}/{row.key}"


def clean_caption(text: str) -> str:
    """`text` with runs of white space replaced by one space. Raises BadSample if it is empty or unprintable."""
    text = " ".join(text.split())
    if _INVISIBLE.fullmatch(text):
        raise BadSample(EMPTY_CAPTION, "only characters that cannot be seen" if text else "")
    if match := CONTROL.search(text):
        raise BadSample(BROKEN_CAPTION, f"control character {match.group()!r}")
    if fault := fault_in(text):
        raise BadSample(BROKEN_CAPTION, fault)
    return text


def id_hash(name: str) -> int:
    """A number in [0, 2^32) that spreads names evenly and, unlike Python's `hash`, is the same in every process."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=4).digest()
    return int.from_bytes(digest, "big")
