"""Other phrasings of a caption, and how often training reads them: the canonical one first, others mixed in later."""

import re
from collections.abc import Iterable, Iterator
from typing import Self

from dream.config import DataConfig

_WORD = re.compile(r"[^\s,:]+")

Kinds = tuple[tuple[str, ...], ...]
"""Other phrasings of a caption by kind (the words in another order, another word for the same thing), no kind empty."""


class Phrased(str):
    """A canonical caption that knows its other phrasings; used as a text, it is the canonical one alone."""

    others: Kinds

    @classmethod
    def of(cls, caption: str, others: Kinds) -> Self:
        """The canonical `caption` with its other phrasings."""
        phrased = cls(caption)
        phrased.others = others
        return phrased

    def pick(self, chance: float, share: float) -> str:
        """The caption that training reads, for a number drawn from [0, 1): another phrasing with probability `share`.

        Each kind is as likely as the others, and so is each phrasing of a kind.
        """
        if chance >= share or not self.others:
            return str(self)
        place, kind = _nth(chance / share, len(self.others))
        return self.others[kind][_nth(place, len(self.others[kind]))[1]]


def other_phrasing_share(progress: float, data: DataConfig) -> float:
    """Share of captions that are not in the canonical phrasing at `progress` (0 to 1) of the training.

    Zero up to `canonical_until`, then rising linearly to `other_phrasings`, which it reaches midway through the
    remaining training. If `canonical_until` is 0 the share is always `other_phrasings`.
    """
    start, most = data.canonical_until, data.other_phrasings
    if start == 0:
        return most
    if progress <= start:
        return 0.0
    return most * min(1.0, 2 * (progress - start) / (1 - start))


def with_new_words(captions: Iterable[str]) -> Iterator[str]:
    """All captions, then those of their other phrasings that have a word which none before has."""
    phrased, seen = [], set[str]()
    for caption in captions:
        seen.update(_WORD.findall(caption))
        phrased.append(caption)
        yield caption
    for caption in phrased:
        for other in (each for kind in getattr(caption, "others", ()) for each in kind):
            if not seen.issuperset(words := _WORD.findall(other)):
                seen.update(words)
                yield other


def _nth(chance: float, count: int) -> tuple[float, int]:
    """One of `count` equal parts of [0, 1) that holds `chance`, and the place within it, again in [0, 1)."""
    part = min(int(chance * count), count - 1)
    return chance * count - part, part
