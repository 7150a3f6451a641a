"""`dream cache`: computes once what the frozen VAE and T5 make of a source, for trainings to read."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dream.commands import options
from dream.console import Console, counted, duration, print_out
from dream.errors import InputError
from dream.files import check_writable
from dream.overrides import override
from dream.presets import SIZES, preset

if TYPE_CHECKING:  # `dream cache --help` must not import torch
    from dream.data.cache.writing import CacheWriter, Worker
    from dream.data.samples import Corpus

DEFAULT_PRESET = "base"
DTYPES = ("float16", "float32")
NAMED = 20
"""Holes that are printed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    options.add_data(parser, note="required, unless --verify")
    options.add_out(parser, "the cache's folder, e.g. cc12m.zarr")
    add = parser.add_argument
    add("--preset", default=DEFAULT_PRESET, metavar="NAME", help=f"{', '.join(SIZES)} (default: {DEFAULT_PRESET})")
    options.add_assignments(parser, "section.key=value", "as for `dream train`, e.g. --set image.vae=FOLDER")
    add("--states", action="store_true", help="store T5's states instead of its ids: eight times as large, T5 rests")
    types = f"type of the stored moments: {', '.join(DTYPES)} (default: {DTYPES[0]})"
    add("--dtype", default=DTYPES[0], metavar="TYPE", help=types)
    add("--part", default=None, metavar="I/N", help="write the Ith of N equal parts, 1 to N (default: by the launcher)")
    add("--batch-size", type=int, default=32, metavar="B", help="pictures that are encoded together (default: 32)")
    add("--verify", action="store_true", help="read the whole cache in --out, and name what is missing or damaged")
    options.add_device(parser)


def run(args: argparse.Namespace) -> None:
    """Writes what is missing of the cache; raises InputError for holes with --verify, and for what does not fit."""
    options.require_at_least(args, 1, "batch_size")
    if args.verify:
        _verify(args.out)
        return
    if args.data is None:
        raise InputError("give --data SRC, the pictures to make a cache of; or --verify to read an existing cache")
    if args.data == "shapes":
        raise InputError("'shapes' are drawn without end, so that there is no cache of them: give stored pictures")
    if args.dtype not in DTYPES:
        raise InputError(f"--dtype must be one of {', '.join(DTYPES)}, got '{args.dtype}'")
    config = override(preset(args.preset), args.assignments)
    check_writable(args.out)
    from dream.data.cache.layout import write_about
    from dream.data.cache.writing import CacheWriter
    from dream.data.sources import open_corpora
    from dream.training.frozen import FrozenEncoder

    worker, device = _worker(args.part), options.open_device(args.device)
    encoder = FrozenEncoder(config, states=args.states, dtype=args.dtype, device=str(device))
    corpora = open_corpora(args.data, config)
    about = encoder.about(args.data, {split: tuple(corpus.shards) for split, corpus in corpora.items()})
    write_about(args.out, about)
    _write(CacheWriter(args.out, about, encoder, args.batch_size), corpora, worker)
    _end(args.out, worker)


def _write(writer: "CacheWriter", corpora: "dict[str, Corpus]", worker: "Worker") -> None:
    """Writes this worker's parts, with a line of progress, and says what was broken in the source."""
    from dream.data.report import DataReport

    console, began, rows, report = Console(True), time.monotonic(), 0, DataReport()
    for split, corpus in corpora.items():
        for part in writer.write(split, corpus, worker, report):
            rows += part.rows
            for kind, key, detail in part.skipped:
                report.add(kind, split, key, detail)
            seconds = time.monotonic() - began
            console.progress(f"{split}: {rows:,} samples in {duration(seconds)}, {rows / seconds:.0f}/s")
    console.say(f"{rows:,} samples are in this worker's parts; {counted(report.total, 'problem')} in the source")


def _end(cache: Path, worker: "Worker") -> None:
    """Keeps the index if the cache is whole, and says what to do next."""
    from dream.data.cache.layout import find_parts, write_index
    from dream.data.cache.writing import remove_unfinished_parts

    shelf = find_parts(cache, indexed=False)
    if holes := shelf.holes():
        waiting = "the other workers write them, or call the same line again" if worker.workers > 1 else "call it again"
        print_out(f"{counted(len(holes), 'part')} still missing, e.g. {holes[0]}: {waiting}")
        return
    remove_unfinished_parts(cache, list(shelf.about.splits))
    write_index(cache, shelf)
    print_out(f"the cache is whole; to train from it: dream train --data {cache} with the same --set")


def _verify(cache: Path) -> None:
    from dream.data.cache.layout import find_parts, is_cache
    from dream.data.cache.verify import cache_holes

    if not is_cache(cache):
        raise InputError(f"{cache} is not a cache: expected a folder that `dream cache` wrote")
    console, shelf = Console(True), find_parts(cache, indexed=False)
    holes = list(cache_holes(cache, shelf, lambda read: console.progress(f"read {read:,} samples")))
    if holes:
        print_out("\n".join(holes[:NAMED]))
        raise InputError(
            f"{cache} has {counted(len(holes), 'hole')}: delete the folders of damaged parts and index.json, and call "
            f"dream cache --data {shelf.about.source} --out {cache} again with the same settings"
        )
    console.say(f"{cache} is whole: every checksum is that of what was written")


def _worker(text: str | None) -> "Worker":
    """The worker that `--part I/N` names, or else the rank that a launcher gave this process."""
    from dream.data.cache.writing import Worker
    from dream.training.launchers import parse_part, rank_of_world

    return Worker(*(rank_of_world() if text is None else parse_part(text)))
