"""The built emoji as Corpora, one per split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dream.data.emoji.table import COUNTS, Drawing, built_emoji
from dream.data.phrasings import Phrased
from dream.data.report import DataReport
from dream.data.samples import Row
from dream.errors import InputError, did_you_mean

SOURCE = "emoji"
SPLITS = tuple(COUNTS["split"])


@dataclass(frozen=True, slots=True)
class EmojiRow:
    """A drawing as a row."""

    shard: str
    drawing: Drawing

    @property
    def key(self) -> str:
        """Code points and style."""
        return self.drawing.key

    def picture(self) -> bytes:
        """Content of the picture's file."""
        return self.drawing.picture

    def caption(self) -> str:
        """The canonical caption, which knows its other phrasings."""
        return Phrased.of(self.drawing.caption, self.drawing.other_phrasings)

    @property
    def kin(self) -> tuple[str, tuple[str, str]]:
        """Keys of its families: one thing in several styles; one style of neighbouring things."""
        return self.drawing.label, (self.drawing.style, self.drawing.subgroup)


class EmojiCorpus:
    """The Corpus of one split: a single shard in memory."""

    def __init__(self, split: str, drawings: Sequence[Drawing]) -> None:
        self.name = f"{SOURCE}:{split}"
        self.shards = [self.name]
        self.window_rows = 1 << 62
        self._rows = [EmojiRow(self.name, drawing) for drawing in drawings if drawing.split == split]

    def rows(self, shard: int, start: int, report: DataReport) -> Iterator[Row]:
        """Rows from `start` on; none of them is broken."""
        yield from self._rows[start:]

    def count(self, shard: int) -> int | None:
        """Number of drawings."""
        return len(self._rows)

    def hint(self) -> str:
        """How to build the table again."""
        return "the table is empty: run 'dream data emoji --build' again"


def is_emoji(source: str) -> bool:
    """Whether a source string means the built emoji."""
    return source == SOURCE or source.startswith(f"{SOURCE}:")


def split_named(source: str) -> str:
    """The split that `emoji:SPLIT` names; empty for `emoji`. Raises InputError for another split."""
    split = source.removeprefix(SOURCE).removeprefix(":")
    if split and split not in SPLITS:
        raise InputError(
            f"'{source}' has no split '{split}'{did_you_mean(split, SPLITS)} (splits: {', '.join(SPLITS)})"
        )
    return split


def open_emoji(source: str) -> dict[str, EmojiCorpus]:
    """`emoji`: the splits train, val and unseen; `emoji:SPLIT`: that one alone, with nothing held out.

    Raises InputError for another split, and if the emoji are not built.
    """
    split, drawings = split_named(source), built_emoji()
    if split:
        corpus = EmojiCorpus(split, drawings)
        return {"train": corpus, "val": corpus}
    return {name: EmojiCorpus(name, drawings) for name in SPLITS}
