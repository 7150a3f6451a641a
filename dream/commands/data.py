"""`dream data SRC`: describes a source of captioned pictures and what is broken in it. Writes nothing."""

import argparse
import dataclasses
import math
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from dream.commands import options
from dream.config import DreamConfig
from dream.console import Console, counted, duration, print_out
from dream.errors import InputError
from dream.overrides import override
from dream.plain_text import printable

if TYPE_CHECKING:  # `dream data --help` must not import torch
    from dream.data.drawn.grammar import Level
    from dream.data.samples import Corpus
    from dream.data.survey import Spread, Survey

EXAMPLES = 5
"""Examples printed per level of shapes."""
NAMES = 10
"""Names printed per kind of problem."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
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
    parser.add_argument(
        "--build",
        action="store_true",
        help="emoji only: fetch the artists' packages with npm, draw them, and keep them in the user's cache",
    )
    parser.add_argument(
        "--from",
        dest="packages",
        type=Path,
        metavar="FOLDER",
        help="with --build: folder where the packages lie unpacked, instead of npm",
    )
    options.add_assignments(
        parser, "data.KEY=VALUE", "name the caption or the picture, e.g. data.caption=prompt data.picture=file"
    )


def run(args: argparse.Namespace) -> None:
    """Prints the description; raises InputError if there is no such source, or if no sample of a split can be used."""
    options.require_at_least(args, 1, "size", "limit")
    options.require_at_most(args, 4096, "size")
    if args.build or args.packages:
        _build(args)
    if args.source == "shapes":
        print_out("\n".join(_shapes(args.size, args.limit or EXAMPLES)))
        return
    from dream.data.sources import open_corpora

    corpora = open_corpora(args.source, override(DreamConfig(), args.assignments))
    refusals = []
    for split, corpus in corpora.items():
        if len(corpora) > 1:
            print_out(f"{split} split")
        refusals.append(_print_stored(corpus, args.size, args.limit, "val" in corpora))
    if refusal := next(filter(None, refusals), ""):
        raise InputError(refusal)


def _build(args: argparse.Namespace) -> None:
    """Builds the emoji; raises InputError if another source was named, or if --from comes alone."""
    if args.source != "emoji" or not args.build:
        raise InputError("--build and --from are for the emoji: dream data emoji --build [--from FOLDER]")
    if args.packages and not args.packages.is_dir():
        raise InputError(f"there is no folder '{args.packages}' to build from: see --from")
    from dream.data.emoji.build import build_emoji

    console, began = Console(enabled=True), time.monotonic()

    def tell(share: float, doing: str) -> None:
        left = f", {duration((time.monotonic() - began) / share * (1 - share))} left" if 0.02 < share < 1 else ""
        console.progress(f"{share:.0%}  {doing}{left}", last=share == 1)

    path = build_emoji(args.packages, tell)
    console.say(f"built {path} ({path.stat().st_size / 1e6:.0f} MB)")


def _print_stored(corpus: "Corpus", size: int | None, limit: int | None, own_validation: bool) -> str:
    """Prints the description of a split; returns a sentence if no sample in it can be used."""
    from dream.data.stored import nothing_usable
    from dream.data.survey import survey

    progress = ReadingProgress()
    for result in survey(corpus, limit):
        progress.show(result.rows, result.expected)
    progress.clear()
    if result.rows or result.report.total:
        print_out("\n".join(_described(result, corpus.name, size, own_validation)))
    return "" if result.good else nothing_usable(corpus, result.report)


def _described(result: "Survey", name: str, size: int | None, own_validation: bool) -> Iterator[str]:
    """The lines of a source's description."""
    yield name
    note = "" if result.complete else ", the first of more (--limit)"
    yield f"  samples     {result.good:,} good in {counted(result.shards, 'shard')}{note}"
    if result.good:
        if result.complete and not own_validation:
            kept = result.good - result.held_out
            yield f"              training uses {kept:,} and holds out {result.held_out:,} for validation"
        yield from _pictures(result, size)
        yield from _captions(result)
        if fault := result.contrast_fault:
            yield f"  note        {fault}"
    total = result.report.total
    yield f"  broken      {counted(total, 'problem') + '; these samples are skipped' if total else 'nothing'}"
    if total:
        yield from (f"    {line}" for line in result.report.summary(NAMES).splitlines())


def _pictures(result: "Survey", size: int | None) -> Iterator[str]:
    from dream.data.survey import Spread

    yield f"  pictures    {_listed(result.formats)}; colours {_listed(result.modes)}"
    yield f"              width {_spread(Spread.of(result.widths))} pixels (least, median, greatest)"
    yield f"              height {_spread(Spread.of(result.heights))} pixels"
    if size is not None:
        yield f"              {result.smaller_than(size):,} have a side below {size} and would be enlarged"


def _captions(result: "Survey") -> Iterator[str]:
    from dream.data.survey import Spread

    different, often = result.repeated()
    yield f"  captions    {_spread(Spread.of(result.words))} words (least, median, greatest)"
    yield f"              {_spread(Spread.of(result.characters))} characters"
    yield f"              {different:,} different; {result.good - different:,} repeat an earlier one"
    for caption, count in often:
        yield f"              {count:,} times: {_shortened(caption)}"
    for name, caption in result.examples:
        yield f"              e.g. {printable(name)}: {_shortened(caption)}"


def _shapes(size: int | None, examples: int) -> Iterator[str]:
    """The lines that describe the drawn pictures, by level."""
    from dream.data.drawn.grammar import GROUNDS, LEVELS
    from dream.data.drawn.shapes import ShapesSource
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
    """Number of different scenes: a ground, a layout, and things that differ in shape or colour."""
    from dream.data.drawn.grammar import GROUNDS, RELATIONS_OF_COUNT

    pairs, looks = len(level.shapes) * len(level.colours), len(level.sizes) * len(level.textures)
    return len(GROUNDS) * sum(
        len(RELATIONS_OF_COUNT[count]) * math.perm(pairs, count) * looks**count for count in set(level.counts)
    )


class ReadingProgress:
    """A progress line on stderr with the time left; silent for the first seconds."""

    def __init__(self, quiet_s: float = 2.0) -> None:
        self._started = time.monotonic()
        self._on_terminal = sys.stderr.isatty()
        self._next = self._started + quiet_s
        self._shown = False

    def show(self, done: int, expected: int | None) -> None:
        """Writes the line, at most twice a second on a terminal and twice a minute elsewhere."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (0.5 if self._on_terminal else 30.0)
        text = f"looked at {done:,} samples"
        if expected and done:
            left = (now - self._started) / done * max(0, expected - done)
            text = f"looked at {done:,} of {expected:,} samples, {duration(left)} left"
        if self._on_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{text[:width]:<{width}}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)
        self._shown = True

    def clear(self) -> None:
        """Erases the line from a terminal."""
        if self._shown and self._on_terminal:
            print("\r" + " " * (shutil.get_terminal_size().columns - 1) + "\r", end="", file=sys.stderr, flush=True)


def _listed(counts: "Counter[str]") -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


def _spread(spread: "Spread") -> str:
    return f"{spread.least:,} / {spread.median:,.0f} / {spread.greatest:,}"


def _shortened(text: str, most: int = 80) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
