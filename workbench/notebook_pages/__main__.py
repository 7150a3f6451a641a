"""Runs every notebook and writes it as an HTML page with its figures, which opens without a network.

See `python -m workbench.notebook_pages --help`.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dream.__main__ import CommandParser
from dream.console import print_out
from dream.errors import InputError
from dream.exit_codes import exit_code
from dream.files import check_writable, replace_text
from workbench.notebook_pages.execution import execute
from workbench.notebook_pages.page import index_page, page_of, title_of

FOLDER = Path("notebooks")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `python -m workbench.notebook_pages` and returns its exit code."""
    parser = CommandParser(prog="python -m workbench.notebook_pages", description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, help="notebooks to run (default: all in notebooks/)")
    parser.add_argument("--out", type=Path, default=FOLDER / "html", help="output folder for the pages")
    arguments = list(sys.argv[1:] if argv is None else argv)
    return exit_code(
        "notebook_pages",
        lambda: write_pages(parser.parse_all(arguments)),
        interrupted="stopped; pages already written are kept",
    )


def write_pages(args: argparse.Namespace) -> None:
    """Runs each notebook in an empty workspace and writes its page; then writes the index."""
    paths = args.notebooks or sorted(FOLDER.glob("*.ipynb"))
    if not paths:
        raise InputError(f"no notebooks in {FOLDER.absolute()}; run this in the project folder")
    check_writable(args.out)
    args.out.mkdir(parents=True, exist_ok=True)
    pages: dict[str, str] = {}
    for number, path in enumerate(paths):
        print_out(f"{path.name} ({number + 1} of {len(paths)}) ...")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="notebook-") as workspace:
            executed = execute(path, Path(workspace))
        target = args.out / f"{path.stem}.html"
        replace_text(target, page_of(executed))
        pages[target.name] = title_of(executed.notebook)
        print_out(f"  {target}, {target.stat().st_size / 1e6:.1f} MB, {time.monotonic() - began:.0f} s")
    if not args.notebooks:
        replace_text(args.out / "index.html", index_page(pages))


if __name__ == "__main__":
    sys.exit(main())
