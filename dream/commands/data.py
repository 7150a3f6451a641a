"""`dream data SRC`: prints what a source holds and what in it is broken. Writes nothing, trains nothing."""

import argparse
import dataclasses
import math
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dream.commands import options
from dream.config import DreamConfig
from dream.errors import InputError

if TYPE_CHECKING:  # `dream data --help` answers without torch
    from dream.data.grammar import Level
    from dream.data.samples import Corpus
    from dream.data.survey import Spread, Survey

EXAMPLES = 5
NAMES = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("source", metavar="SRC", help=options.SOURCE_FORMS)
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="count the pictures with a side below this, which training would enlarge",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="read only the first N samples (shapes: print N examples per level)"
    )


def run(args: argparse.Namespace) -> None:
    """Raises InputError when there is nothing of that name, or nothing in it."""
    options.require_at_least(args, 1, "size", "limit")
    if args.source == "shapes":
        print("\n".join(_shapes(args.size, args.limit or EXAMPLES)))
        return
    from dream.data.sources import open_corpora

    corpora = open_corpora(args.source, DreamConfig())
    for split, corpus in corpora.items():
        if len(corpora) > 1:
            print(f"{split} split")
        _print_stored(corpus, args.size, args.limit, "val" in corpora)


def _print_stored(corpus: "Corpus", size: int | None, limit: int | None, own_validation: bool) -> None:
    from dream.data.survey import survey

    progress = ReadingProgress()
    for found in survey(corpus, limit):
        progress.show(found.rows, found.expected)
    progress.clear()
    if found.rows or found.report.total:
        print("\n".join(_described(found, corpus.name, size, own_validation)), flush=True)
    if not found.rows:
        raise InputError(f"no captioned picture in '{corpus.name}': {corpus.hint()}")


def _described(found: "Survey", name: str, size: int | None, own_validation: bool) -> Iterator[str]:
    """The lines of a source's description."""
    yield name
    part = "" if found.complete else ", the first of more (--limit)"
    yield f"  samples     {found.good:,} good in {_count(found.shards, 'shard')}{part}"
    if found.good:
        if found.complete and not own_validation:
            kept = found.good - found.held_out
            yield f"              a training learns from {kept:,} and keeps {found.held_out:,} for validation"
        yield from _pictures(found, size)
        yield from _captions(found)
    total = found.report.total
    yield f"  broken      {_count(total, 'problem') + '; what they touch is skipped' if total else 'nothing'}"
    if total:
        yield from (f"    {line}" for line in found.report.summary(NAMES).splitlines())


def _pictures(found: "Survey", size: int | None) -> Iterator[str]:
    from dream.data.survey import Spread

    yield f"  pictures    {_listed(found.formats)}; colours {_listed(found.modes)}"
    yield f"              width {_spread(Spread.of(found.widths))} pixels (least, median, greatest)"
    yield f"              height {_spread(Spread.of(found.heights))} pixels"
    if size is not None:
        yield f"              {found.smaller_than(size):,} have a side below {size} and would be enlarged"


def _captions(found: "Survey") -> Iterator[str]:
    from dream.data.survey import Spread

    different, often = found.repeated()
    yield f"  captions    {_spread(Spread.of(found.words))} words (least, median, greatest)"
    yield f"              {_spread(Spread.of(found.characters))} characters"
    yield f"              {different:,} different; {found.good - different:,} repeat an earlier one"
    for caption, count in often:
        yield f"              {count:,} times: {_shortened(caption)}"
    for name, caption in found.examples:
        yield f"              e.g. {name}: {_shortened(caption)}"


def _shapes(size: int | None, examples: int) -> Iterator[str]:
    """What the drawn pictures can show, by level."""
    from dream.data.grammar import GROUNDS, LEVELS
    from dream.data.shapes import ShapesSource
    from dream.presets import tiny

    yield "shapes: pictures drawn from a seed, endless for training; validation and test are fixed"
    yield f"  backgrounds {', '.join(GROUNDS)}"
    base = tiny()
    if size is not None:
        base = dataclasses.replace(base, image=dataclasses.replace(base.image, size=size, patch_size=1))
    for number, level in enumerate(LEVELS):
        config = dataclasses.replace(base, data=dataclasses.replace(base.data, level=number))
        source = ShapesSource(config, split="val")
        yield f"  level {number}     {_scenes(level):,} different scenes (data.level={number})"
        yield f"              {' or '.join(map(str, sorted(set(level.counts))))} of {', '.join(level.shapes)}"
        yield f"              in {', '.join(level.colours)}"
        extras = [word for word in (*level.sizes, *level.textures) if word]
        if extras:
            yield f"              {', '.join(extras)}"
        for caption in source.fixed(examples).captions:
            yield f"              e.g. {caption}"


def _scenes(level: "Level") -> int:
    """The number of different scenes: ground, layout, things no two of which agree in shape and colour."""
    from dream.data.grammar import GROUNDS, RELATIONS_OF_COUNT

    pairs, looks = len(level.shapes) * len(level.colours), len(level.sizes) * len(level.textures)
    return len(GROUNDS) * sum(
        len(RELATIONS_OF_COUNT[count]) * math.perm(pairs, count) * looks**count for count in set(level.counts)
    )


class ReadingProgress:
    """A line on stderr that says how far it is and how long it takes; nothing in the first seconds."""

    def __init__(self, quiet_s: float = 2.0) -> None:
        self._started = time.monotonic()
        self._on_terminal = sys.stderr.isatty()
        self._next = self._started + quiet_s
        self._shown = False

    def show(self, done: int, expected: int | None) -> None:
        """Writes the line, at most every half second on a terminal, every half minute elsewhere."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (0.5 if self._on_terminal else 30.0)
        text = f"looked at {done:,} samples"
        if expected and done:
            left = (now - self._started) / done * max(0, expected - done)
            text = f"looked at {done:,} of {expected:,} samples, {_duration(left)} left"
        if self._on_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{text[:width]:<{width}}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)
        self._shown = True

    def clear(self) -> None:
        """Wipes the line off a terminal."""
        if self._shown and self._on_terminal:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="", file=sys.stderr, flush=True)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _listed(counts: "Counter[str]") -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def _spread(spread: "Spread") -> str:
    return f"{spread.least:,} / {spread.median:,.0f} / {spread.greatest:,}"


def _shortened(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
