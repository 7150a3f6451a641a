"""Words of captions: how a text is split into them, and those that a model was trained on."""

import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from dream.data.suggestions import Suggestions
from dream.json_text import parse_json

MOST_WORDS = 50_000
"""Most words that a model keeps, the frequent ones first."""
MOST_LETTERS = 60
"""Longer words are not kept: they are addresses or remains of markup."""
FORMAT = 1
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts without spaces between words (Thai, Lao, Burmese, Khmer, Japanese, Chinese): each character is one."""


@dataclass(frozen=True)
class TrainingWords:
    """The words of the captions that a model was trained on, in lower case, with their counts."""

    counts: dict[str, int]
    complete: bool
    """Whether these are all words of all captions: only then is another word one that the model never saw."""
    suggestions: Suggestions = field(default_factory=Suggestions)
    """What to paint; older models have none."""

    @classmethod
    def of(cls, captions: Iterable[str], every_caption: bool) -> "TrainingWords":
        """The words of these captions; `every_caption` says that the training has no others."""
        captions = list(captions)
        runs = Counter(run for caption in captions for run in caption.split())  # each is split into words once
        counts: Counter[str] = Counter()
        for run, count in runs.items():
            for word, _, _ in words_in(run):
                counts[word] += count
        kept = {word: count for word, count in counts.most_common(MOST_WORDS) if len(word) <= MOST_LETTERS}
        return cls(kept, every_caption and len(kept) == len(counts), Suggestions.of(captions))

    def to_json(self) -> str:
        """The text that `from_json` reads."""
        tree = {"format": FORMAT, "complete": self.complete, "words": self.counts}
        if self.suggestions.starts:
            tree |= {"starts": self.suggestions.starts, "endings": self.suggestions.endings}
        return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "TrainingWords":
        """Inverse of `to_json`; raises ValueError for any other text."""
        tree = parse_json(text)
        words = tree.get("words") if isinstance(tree, dict) and tree.get("format") == FORMAT else None
        if not isinstance(words, dict) or not all(isinstance(count, int) for count in words.values()):
            raise ValueError("it is not a list of training words with their counts")
        parts = tree.get("starts", []), tree.get("endings", [])
        if not all(isinstance(part, list) and all(isinstance(each, str) for each in part) for part in parts):
            raise ValueError("its suggestions are not lists of texts")
        return cls(words, tree.get("complete") is True, Suggestions(*map(tuple, parts)))


def words_in(text: str) -> Iterator[tuple[str, int, int]]:
    """Each word of a text, in lower case and composed, with its first character and the one after its last.

    A word is a run of letters and digits, a symbol (an emoji), or one character of a script without spaces;
    punctuation stands between words.
    """
    for match in _pattern().finditer(text):
        yield unicodedata.normalize("NFC", match.group().lower()), match.start(), match.end()


@cache
def _pattern() -> re.Pattern[str]:
    """A word: built once from the categories of Unicode, which `re` does not know."""
    kinds: dict[str, list[str]] = {"M": [], "So": [], "Sk": []}  # marks, symbols, and what changes a symbol
    for code in range(0x300, sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if (kind := category if category in kinds else category[0]) in kinds:
            kinds[kind].append(re.escape(chr(code)))
    marks, symbols, changes = ("".join(each) for each in kinds.values())
    joined, letter = f"[{marks}\u200c\u200d]", f"[^\\W_{_UNSPACED}]"
    run = f"{letter}+(?:{joined}+{letter}*)*"
    symbol = f"[{symbols}](?:[{marks}{changes}]|\u200d[{symbols}])*"
    return re.compile(f"{run}|[{_UNSPACED}]{joined}*|{symbol}")
