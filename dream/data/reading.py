"""What a model reads of a prompt: how far it reads, and which words it never saw in training.

A model has up to two readers with limits of their own: the decoder, which paints, and the text tower, which scores
pictures by their alignment with the prompt.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from dream.data.text import Piece
from dream.data.words import TrainingWords, words_in

SUFFIX = "</w>"
"""Mark for the end of a word in CLIP's vocabulary."""
UNKNOWN = "<unk>"
"""T5's token for what has none."""
LISTED_WORDS, LISTED_CHARACTERS = 8, 160
"""Most unseen words, and most characters of what was read, in a sentence; files keep more of both."""
STORED_WORDS = 50
NEVER, RARELY, SPELLED = "never saw", "rarely or never saw", "reads in single letters or bytes"
"""What is said of an unseen word: with all words of the training known, with the frequent ones, with none."""


class TextReader(Protocol):
    """Turns a prompt into tokens, and reads the first `room` of them."""

    @property
    def room(self) -> int:
        """Number of tokens that are read."""

    def pieces(self, caption: str) -> list[Piece]:
        """All tokens of a caption."""


class PromptWord(NamedTuple):
    """A word of a prompt."""

    text: str
    start: int
    end: int
    """Its place in the prompt: first character, and the one after its last."""
    read: bool
    """Whether every reader reads it, or its beginning."""
    unseen: bool
    """Whether training did not show it, as far as that is known."""
    lost: bool
    """Whether a reader has no token for it, or for a part of it."""


class Extent(NamedTuple):
    """How far one reader reads."""

    characters: int
    words: int


@dataclass(frozen=True)
class PromptReading:
    """A prompt as a model reads it."""

    prompt: str
    words: tuple[PromptWord, ...]
    painted: Extent | None
    """What the decoder reads; None for a model that does not paint."""
    scored: Extent | None
    """What the text tower reads; None for a model without one."""
    meaning: str
    """What `unseen` means: NEVER, RARELY or SPELLED."""

    @property
    def unseen(self) -> tuple[str, ...]:
        """The different unseen words among those that are read."""
        return tuple(dict.fromkeys(word.text for word in self.words if word.unseen and word.read))

    @property
    def lost(self) -> tuple[str, ...]:
        """The different words, among those that are read, that a reader has no token for."""
        return tuple(dict.fromkeys(word.text for word in self.words if word.lost and word.read))

    @property
    def remark(self) -> str:
        """A line on what is not read and what is unseen, e.g. `the model reads 14 of 22 words: '...'`; or nothing."""
        parts = []
        if self.painted is None or self.scored is None or self.painted == self.scored:
            parts.append(self._cut("the model reads", self.painted or self.scored))
        else:
            parts.append(self._cut("the decoder reads", self.painted))
            parts.append(self._cut("the alignment score reads", self.scored))
        if self.unseen:
            subject = "" if any(parts) else "the model "
            parts.append(f"{subject}{self.meaning}: {_named(self.unseen)}")
        if self.lost:
            parts.append(f"the decoder has no token for: {_named(self.lost)}")
        return "; ".join(part for part in parts if part)

    def to_dict(self) -> dict[str, Any]:
        """Plain dict for the files of a picture: what was read, and the unseen words."""
        extents = {"read": self.painted or self.scored}
        if self.painted and self.scored and self.painted != self.scored:
            extents["scored"] = self.scored
        tree: dict[str, Any] = {"words": len(self.words)}
        for name, extent in extents.items():
            if extent is not None:
                tree |= {name: self.prompt[: extent.characters].strip(), f"words_{name}": extent.words}
        if self.unseen:
            tree |= {"unseen": list(self.unseen[:STORED_WORDS]), "unseen_means": self.meaning}
        if self.lost:
            tree |= {"lost": list(self.lost[:STORED_WORDS])}
        return tree | {"remark": self.remark}

    def _cut(self, who: str, extent: Extent | None) -> str:
        if extent is None or extent.characters >= len(self.prompt):
            return ""
        count, all_of_them = extent.words, f"{len(self.words):,} word{'s' if len(self.words) > 1 else ''}"
        if not self.words:
            count, all_of_them = extent.characters, f"{len(self.prompt):,} characters"
        read = shortened(self.prompt[: extent.characters].strip(), LISTED_CHARACTERS)
        return f"{who} {count:,} of {all_of_them}: '{read}'"


@dataclass(frozen=True)
class PromptReader:
    """The readers of a model, and the words that it was trained on."""

    painter: TextReader | None
    scorer: TextReader | None
    words: TrainingWords | None

    def read(self, prompt: str) -> PromptReading:
        """The prompt as the model reads it; runs of white space count as one space."""
        prompt = " ".join(prompt.split())
        spans = list(words_in(prompt))
        pieces = {reader: reader.pieces(prompt) for reader in (self.painter, self.scorer) if reader is not None}
        extents = {reader: _extent(of_reader, reader.room, prompt, spans) for reader, of_reader in pieces.items()}
        read = min((extent.characters for extent in extents.values()), default=len(prompt))
        if self.words is not None:
            meaning = NEVER if self.words.complete else RARELY
            unseen = [word not in self.words.counts for word, _, _ in spans]
        else:
            meaning, of_all = SPELLED, [_spelled_words(of_reader, spans) for of_reader in pieces.values()]
            unseen = [any(each) for each in zip(*of_all, strict=True)] if of_all else [False] * len(spans)
        lost = _places(piece for of_reader in pieces.values() for piece in of_reader if piece.token == UNKNOWN)
        words = [
            PromptWord(prompt[start:end], start, end, start < read, strange, not lost.isdisjoint(range(start, end)))
            for (_, start, end), strange in zip(spans, unseen, strict=True)
        ]
        painted, scored = (None if one is None else extents[one] for one in (self.painter, self.scorer))
        return PromptReading(prompt, tuple(words), painted, scored, meaning)


def shortened(text: str, most: int) -> str:
    """`text`, or its beginning and end around an ellipsis if it has more than `most` characters."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 5].rstrip()} ... {text[-end:].lstrip()}"


def spelled(pieces: Sequence[Piece]) -> list[bool]:
    """Whether each token is one letter or byte of a longer word."""
    in_word = Counter(piece.word for piece in pieces)
    return [len(piece.token.removesuffix(SUFFIX)) == 1 and in_word[piece.word] > 1 for piece in pieces]


def _extent(pieces: Sequence[Piece], room: int, prompt: str, spans: Sequence[tuple[str, int, int]]) -> Extent:
    """How far the first `room` tokens reach; a character is read if all its bytes are."""
    if len(pieces) <= room:
        return Extent(len(prompt), len(spans))
    last, following = pieces[room - 1], pieces[room]
    end = last.start if following.start < last.end else last.end
    return Extent(end, sum(stop <= end for _, _, stop in spans))


def _spelled_words(pieces: Sequence[Piece], spans: Sequence[tuple[str, int, int]]) -> list[bool]:
    """Whether half the characters of each word, or more, are tokens of their own or several."""
    alone = _places(piece for piece, alone in zip(pieces, spelled(pieces), strict=True) if alone)
    return [2 * len(alone.intersection(range(start, end))) >= end - start for _, start, end in spans]


def _places(pieces: Iterable[Piece]) -> set[int]:
    """The characters of a prompt that these tokens encode."""
    return {place for piece in pieces for place in range(piece.start, piece.end)}


def _named(words: Sequence[str]) -> str:
    more = len(words) - LISTED_WORDS
    named = ", ".join(f"'{shortened(word, 40)}'" for word in words[:LISTED_WORDS])
    return f"{named} and {more} more" if more > 0 else named
