"""`dream export`: a trained model without what only training needs, as a folder that every command opens."""

import argparse
from pathlib import Path

from dream.errors import InputError
from dream.files import check_writable

DTYPES = ("bfloat16", "float16", "float32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add = parser.add_argument
    add("--model", required=True, type=Path, metavar="PATH", help="a run (its newest checkpoint) or a checkpoint")
    add("--out", required=True, type=Path, metavar="FOLDER", help="the new folder")
    add(
        "--dtype", default=DTYPES[0], metavar="TYPE", help=f"of the weights: {', '.join(DTYPES)} (default: {DTYPES[0]})"
    )
    add("--overwrite", action="store_true", help="replace an exported model that is there")


def run(args: argparse.Namespace) -> None:
    """Writes averaged weights, configuration and tokenizer, and the run's own record where there is one."""
    if args.dtype not in DTYPES:
        raise InputError(f"--dtype must be one of {', '.join(DTYPES)}, got '{args.dtype}'")
    check_writable(args.out.parent)
    if args.out.exists():
        if not args.overwrite:
            raise InputError(f"{args.out} is there already: give another --out, or --overwrite")
        if not (args.out / "state.json").is_file():
            raise InputError(f"{args.out} is no exported model, so it is not replaced: give another --out")
    import torch

    from dream.pretrained import checkpoint_of
    from dream.training.export import export

    weights = export(checkpoint_of(args.model), args.out, getattr(torch, args.dtype))
    size = (args.out / "model.safetensors").stat().st_size
    print(f"exported {weights:,} numbers as {args.dtype}, {size / 1e6:.1f} MB, to {args.out}")
