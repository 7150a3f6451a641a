"""`dream publish`: writes a trained model for others, with its card, and uploads it if asked to."""

import argparse
from pathlib import Path

from dream.commands import options
from dream.commands.export import DTYPES
from dream.console import print_out
from dream.errors import InputError
from dream.files import check_writable
from dream.plain_text import require_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the command."""
    add = parser.add_argument
    options.add_model(parser)
    options.add_out(parser, "the folder to publish")
    add("--hub", metavar="OWNER/NAME", help="upload it to the Hugging Face hub (log in by `hf auth login` before)")
    add("--name", metavar="TEXT", help="title of the card (default: the name of the folder)")
    add("--licence", default="mit", metavar="ID", help="licence of the weights, as the hub names it (default: mit)")
    add("--data-licence", default="", metavar="TEXT", help="origin and licence of the data, unless shapes or emoji")
    add("--results", type=Path, default=Path("results"), metavar="FOLDER", help="measures of `dream evaluate`")
    add("--prompt", action="append", default=[], help="prompts of the sample sheet (default: the run's newest sheet)")
    add("--dtype", default=DTYPES[2], metavar="TYPE", help=f"{', '.join(DTYPES)} (default: {DTYPES[2]})")
    options.add_overwrite(parser, "replace a published model at --out")


def run(args: argparse.Namespace) -> None:
    """Writes the folder; raises InputError for what does not fit, and RunError if the upload fails."""
    if args.dtype not in DTYPES:
        raise InputError(f"--dtype must be one of {', '.join(DTYPES)}, got '{args.dtype}'")
    for text, what in ((args.name or "", "--name"), (args.licence, "--licence"), (args.data_licence, "--data-licence")):
        require_text(text, what)
    for prompt in args.prompt:
        require_text(prompt, "the prompt")
    check_writable(args.out.parent)
    if args.out.exists():
        if not args.overwrite:
            raise InputError(f"{args.out} exists already: choose another --out, or replace it with --overwrite")
        if not (args.out / "state.json").is_file():
            raise InputError(f"{args.out} is not a published model, so it is not replaced: choose another --out")
    import torch

    from dream.pretrained import checkpoint_of
    from dream.publishing.folder import CARD, PublishOptions, publish
    from dream.weights.hub_models import upload

    chosen = PublishOptions(
        name=args.name or args.out.resolve().name,
        licence=args.licence,
        data_licence=args.data_licence,
        results=args.results,
        prompts=args.prompt,
        dtype=getattr(torch, args.dtype),
    )
    facts = publish(checkpoint_of(args.model), args.out, chosen)
    said = sum(len(entry.measures) for result in facts.results for entry in result.entries)
    sheet = "a sheet" if facts.prompts else "no sheet (give --prompt)"
    print_out(f"wrote {args.out} with {CARD}: {said} measures, {sheet}; read the card before you share it")
    if args.hub:
        print_out(f"uploaded to {upload(args.out, args.hub)}; to use it: dream decode --model hf:{args.hub} ...")
