"""`dream export`: writes a trained model, without its training state, to a folder that every command opens."""

import argparse

from dream.commands import options
from dream.console import print_out
from dream.errors import InputError
from dream.files import check_writable

FORMS = ("dream", "authors")
DTYPES = ("bfloat16", "float16", "float32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    options.add_model(parser)
    options.add_out(parser, "the folder of the exported model")
    types = f"type of the stored weights: {', '.join(DTYPES)} (default: {DTYPES[0]})"
    parser.add_argument("--dtype", default=DTYPES[0], metavar="TYPE", help=types)
    forms = "dream (default): a folder that every command opens; authors: a .pth for the authors' own code"
    parser.add_argument("--format", default="dream", metavar="NAME", help=forms)
    options.add_overwrite(parser, "replace an exported model at --out")


def run(args: argparse.Namespace) -> None:
    """Writes averaged weights, configuration and tokenizer, and the run's record if there is one."""
    if args.dtype not in DTYPES:
        raise InputError(f"--dtype must be one of {', '.join(DTYPES)}, got '{args.dtype}'")
    if args.format not in FORMS:
        raise InputError(f"--format must be one of {', '.join(FORMS)}, got '{args.format}'")
    check_writable(args.out.parent)
    if args.format == "authors":
        _export_authors(args)
        return
    if args.out.exists():
        if not args.overwrite:
            raise InputError(f"{args.out} exists already: choose another --out, or replace it with --overwrite")
        if not (args.out / "state.json").is_file():
            raise InputError(f"{args.out} is not an exported model, so it is not replaced: choose another --out")
    import torch

    from dream.pretrained import checkpoint_of
    from dream.publishing.export import export

    weights = export(checkpoint_of(args.model), args.out, getattr(torch, args.dtype))
    size = (args.out / "model.safetensors").stat().st_size
    print_out(f"exported {weights:,} numbers as {args.dtype}, {size / 1e6:.1f} MB, to {args.out}")


def _export_authors(args: argparse.Namespace) -> None:
    """Writes one file for the authors' own code."""
    if args.out.suffix not in (".pth", ".pt"):
        raise InputError(f"--format authors writes one file: give --out NAME.pth, got {args.out}")
    if args.out.exists() and not args.overwrite:
        raise InputError(f"{args.out} exists already: choose another --out, or replace it with --overwrite")
    from dream.importing.authors_file import export_authors
    from dream.pretrained import checkpoint_of

    values = export_authors(checkpoint_of(args.model), args.out)
    print_out(f"exported {values:,} numbers under the authors' names to {args.out}")
