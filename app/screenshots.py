"""Saves every page of the app in both themes as PNG (`make screenshots`).

The workspace is filled once (a short training, an evaluation of the shipped model), so that no page is empty.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from app.browsing import chromium, open_page, press, reason_missing, served, settle
from app.contents import PAGES
from dream.__main__ import CommandParser
from dream.console import print_out
from dream.errors import InputError, RunError
from dream.exit_codes import exit_code

STEPS = 120
"""Steps of the training that the pages show."""
WIDTH, HEIGHT = 1440, 1600
PRESSED = {"decode": ("do.decode.go",), "trajectories": ("do.trajectories.example.0",)}
"""Keys of the buttons to press before the screenshot, so that a page shows what it is for."""
SECONDS = 6.0
"""Time for figures to be drawn and background work to end."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of `python -m app.screenshots`."""
    parser = CommandParser(prog="python -m app.screenshots", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/screenshots"), help="folder for the PNGs")
    parser.add_argument("--pages", default="", help="comma-separated page names (default: all)")
    parser.add_argument("--width", type=int, default=WIDTH, help="width of the pages in pixels, as 420 for a phone")
    arguments = list(sys.argv[1:] if argv is None else argv)
    return exit_code("screenshots", lambda: take_screenshots(parser.parse_all(arguments)))


def take_screenshots(args: argparse.Namespace) -> None:
    """Saves the pages. Raises InputError for an unknown page, RunError without a browser."""
    names = [name for section in PAGES.values() for name, _ in section]
    chosen = [name.strip() for name in args.pages.split(",") if name.strip()] or names
    if unknown := [name for name in chosen if name not in names]:
        raise InputError(f"there is no page '{unknown[0]}'; choose from {', '.join(names)}")
    if missing := reason_missing():
        raise RunError(missing)
    workspace = (args.out / "workspace").absolute()
    furnish(workspace)
    suffix = "" if args.width == WIDTH else f"-{args.width}"
    with served(workspace) as address, chromium() as browser:
        for theme in ("light", "dark"):
            for name in chosen:
                page = open_page(browser, f"{address}/{'' if name == 'home' else name}", theme, (args.width, HEIGHT))
                for key in PRESSED.get(name, ()):
                    press(page, key)
                page.wait_for_timeout(1000 * SECONDS)
                settle(page)
                path = args.out / f"{name}-{theme}{suffix}.png"
                page.screenshot(path=path, full_page=False)
                page.context.close()
                print_out(str(path))


def furnish(workspace: Path) -> None:
    """Fills the workspace with a run and an evaluation, unless it has them."""
    workspace.mkdir(parents=True, exist_ok=True)
    run = workspace / "runs" / "shapes"
    if not (run / "config.json").exists():
        budget = ["--steps", str(STEPS), "--out", str(run)]
        _dream(workspace, "train", "--preset", "tiny", "--data", "shapes", *budget)
    if not (workspace / "results").is_dir():
        _dream(
            workspace,
            "evaluate",
            "--model",
            "demo",
            "--tasks",
            "losses,retrieval,edits",
            "--out",
            str(workspace / "results"),
        )


def _dream(workspace: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "dream", *arguments], cwd=workspace, check=True)


if __name__ == "__main__":
    sys.exit(main())
