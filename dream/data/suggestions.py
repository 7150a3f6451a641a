"""Words to start a prompt with, taken from the captions of a training and kept beside the model."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from dream.data.phrasings import Phrased

MOST_STARTS = 5000
"""Most suggestions that a model keeps."""
MOST_LETTERS = 80
"""Longer captions are no suggestions."""
MOST_ENDINGS = 12
"""Captions that end in one of at most so many ways, after a comma, are suggested in two parts."""
_REGULAR, _RARE = 0.9, 0.01


@dataclass(frozen=True)
class Suggestions:
    """Captions, or beginnings of captions and the endings that go with each."""

    starts: tuple[str, ...] = ()
    """What a picture can show, each once, in the order of the captions."""
    endings: tuple[str, ...] = ()
    """How it can be drawn, frequent ones first: a prompt is a start, a comma and an ending. Empty: starts are whole."""

    @classmethod
    def of(cls, captions: Iterable[str]) -> "Suggestions":
        """Suggestions from captions, in two parts if nearly all end in one of a few ways.

        Where some are `Phrased`, the others are only further phrasings of them.
        """
        captions = list(captions)
        canonical = [caption for caption in captions if isinstance(caption, Phrased)] or captions
        known = [str(caption) for caption in canonical if len(caption) <= MOST_LETTERS]
        parts = [caption.rpartition(", ") for caption in known]
        counts = Counter(end for start, _, end in parts if start)
        endings = [end for end, count in counts.most_common(MOST_ENDINGS) if count >= _RARE * len(known)]
        regular = sum(counts[end] for end in endings)
        if len(endings) > 1 and regular >= _REGULAR * len(known):
            starts = dict.fromkeys(start for start, _, end in parts if end in endings)
            return cls(tuple(starts)[:MOST_STARTS], tuple(endings))
        return cls(tuple(dict.fromkeys(known))[:MOST_STARTS])

    def prompt(self, start: str, ending: str = "") -> str:
        """The prompt of a start and, if the suggestions have any, an ending (by default the most frequent one)."""
        return f"{start}, {ending or self.endings[0]}" if self.endings else start
