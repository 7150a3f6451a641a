"""`dream import`: turns weights that others have trained into a model that every command opens."""

import argparse
from pathlib import Path

from dream.commands import options
from dream.console import counted, print_out
from dream.errors import InputError
from dream.files import check_writable
from dream.presets import CLIP_BPE, SIZES

LISTED = 8
"""Tensors of a kind that are printed; import.json has all."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="the authors' checkpoint, MAR's, or a CLIP of open_clip")
    options.add_out(parser, "the folder of the model")
    add("--preset", default="base", metavar="NAME", help=f"settings of what the file lacks: {', '.join(SIZES)}")
    options.add_assignments(parser, "section.key=value", "change any of these settings")
    add("--heads", metavar="N", help="attention heads, if the file does not say: 12, or encoder=12,decoder=12,text=8")
    add("--tokenizer", metavar="FOLDER", help="CLIP's BPE: a folder with vocab.json and merges.txt, or a hub name")
    options.add_overwrite(parser, "replace an imported model at --out")


def run(args: argparse.Namespace) -> None:
    """Imports, and prints what became of every tensor; raises InputError for a file that does not fit."""
    check_writable(args.out.parent)
    if args.out.exists():
        if not args.overwrite:
            raise InputError(f"{args.out} exists already: choose another --out, or replace it with --overwrite")
        if not (args.out / "state.json").is_file():
            raise InputError(f"{args.out} is not an imported model, so it is not replaced: choose another --out")
    from dream.importing.build import RECORD, ImportOptions, import_weights
    from dream.importing.foreign import FAMILIES
    from dream.importing.sizes import parse_heads

    chosen = ImportOptions(args.preset, args.assignments, parse_heads(args.heads), args.tokenizer or CLIP_BPE)
    report = import_weights(args.file, args.out, chosen)
    epoch = "" if report.epoch is None else f", epoch {report.epoch}"
    print_out(f"{args.file} is {FAMILIES[report.family]}{epoch}")
    print_out(f"  used     {counted(len(report.used), 'tensor')}" + (", with averages" if report.averaged else ""))
    _list("unused", [f"{name}: {reason}" for name, reason in report.unused.items()])
    _list("missing", [f"{name} keeps its drawn values" for name in report.missing])
    print_out(f"wrote {args.out}; {args.out / RECORD} lists every tensor")
    if report.missing:
        print_out(
            f"it is a part of a model; to train the rest: dream train --start-from {args.out} --data SRC --out RUN"
        )


def _list(kind: str, lines: list[str]) -> None:
    print_out(f"  {kind:<9}{counted(len(lines), 'tensor')}")
    for line in lines[:LISTED]:
        print_out(f"    {line}")
    if len(lines) > LISTED:
        print_out(f"    and {len(lines) - LISTED:,} more")
