"""Makes the pictures of the README by the models that ship (`make readme-pictures`), into the folder that it shows.

Sheets come from the command line, the player from the pages in a browser, the notebook from its page.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from app.browsing import PATIENCE, chromium, open_page, press, reason_missing, served, settle
from dream.__main__ import CommandParser
from dream.console import print_out
from dream.errors import InputError, RunError
from dream.exit_codes import exit_code

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).parent / "assets"
NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "05_choose_a_trajectory.ipynb"
HEADING = "A race, live"
"""The part of the notebook that is shown."""
SHEETS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "sheet": (
        "demo",
        (
            "a red circle left of a blue square on a white background",
            "a green triangle above a yellow cross on a black background",
            "a purple square on a grey background",
            "an orange cross on a white background",
            "a yellow circle above a green triangle on a grey background",
            "a blue triangle below a red triangle on a white background",
        ),
        (),
    ),
    "emoji": (
        "emoji",
        (
            "red heart, glossy",
            "dog face, ink",
            "grinning face, blob",
            "one o’clock, cartoon",
            "cat face, flat",
            "sun with face, classic",
            "red heart, ink",
            "blue heart, flat",
        ),
        (),
    ),
    "choice": ("emoji", ("cat face, flat", "dog face, ink"), ("--candidates", "5", "--select-at", "30%tokens")),
}
"""By picture: model, prompts and further options of `dream decode`."""
DECODED, STEPS_BACK = "cat face, flat", 3
"""Prompt on Decode, and how far before the end its player is shown."""
SIZE = (1440, 1800)


class Studio(NamedTuple):
    """Where pictures are made."""

    browser: "Browser"
    address: str
    """Of the app on an empty workspace."""
    out: Path


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code of `python -m app.readme_pictures`."""
    parser = CommandParser(prog="python -m app.readme_pictures", description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for the PNGs")
    names = ", ".join((*SHEETS, *SHOTS))
    parser.add_argument("--pictures", default="", help=f"comma-separated pictures out of {names} (default: all)")
    arguments = list(sys.argv[1:] if argv is None else argv)
    return exit_code("readme_pictures", lambda: make_pictures(parser.parse_all(arguments)))


def make_pictures(args: argparse.Namespace) -> None:
    """Makes the chosen pictures. Raises InputError for an unknown one, RunError without a browser."""
    chosen = [name.strip() for name in args.pictures.split(",") if name.strip()] or [*SHEETS, *SHOTS]
    if unknown := [name for name in chosen if name not in SHEETS and name not in SHOTS]:
        raise InputError(f"there is no picture '{unknown[0]}'; choose from {', '.join((*SHEETS, *SHOTS))}")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in (name for name in chosen if name in SHEETS):
        _sheet(name, args.out)
    if shots := [name for name in chosen if name in SHOTS]:
        if missing := reason_missing():
            raise RunError(missing)
        with (
            tempfile.TemporaryDirectory(prefix="pictures-") as folder,
            served(Path(folder)) as address,
            chromium() as browser,
        ):
            for name in shots:
                SHOTS[name](Studio(browser, address, args.out))
                print_out(str(args.out / f"{name}.png"))


def _sheet(name: str, out: Path) -> None:
    model, prompts, options = SHEETS[name]
    asked = [word for prompt in prompts for word in ("--prompt", prompt)]
    path = str((out / f"{name}.png").absolute())
    _run("dream", "decode", "--model", model, *asked, *options, "--out", path, "--overwrite")


def _decode(studio: Studio) -> None:
    """The player of Decode a few steps before the end, where some tokens are still hidden."""
    asked = urlencode({"in.decode.model": "emoji", "in.decode.prompt": DECODED})
    page = open_page(studio.browser, f"{studio.address}/decode?{asked}", size=SIZE)
    press(page, "do.decode.go")
    page.locator(".dp-title", has_text=DECODED).first.wait_for(timeout=PATIENCE)
    page.get_by_text("Attention to words").first.wait_for(timeout=PATIENCE)  # comes once the decode is looked into
    settle(page)
    player = page.locator(".dream-player").first
    player.focus()
    for _ in range(STEPS_BACK):
        page.keyboard.press("ArrowLeft")
    settle(page)
    player.screenshot(path=studio.out / "decode.png")
    page.context.close()


def _trajectories(studio: Studio) -> None:
    """The page's first example, of which all candidates are finished."""
    page = open_page(studio.browser, f"{studio.address}/trajectories", size=SIZE)
    press(page, "do.trajectories.example.0")
    page.locator(".dp-choose").wait_for(timeout=PATIENCE)
    settle(page)
    page.locator(".dream-player").first.screenshot(path=studio.out / "trajectories.png")
    page.context.close()


def _notebook(studio: Studio) -> None:
    """The part of the notebook that starts a race, out of the page that the notebook is written as."""
    with tempfile.TemporaryDirectory(prefix="pages-") as folder:
        _run("workbench.notebook_pages", str(NOTEBOOK), "--out", folder)
        page = studio.browser.new_page(viewport={"width": 1060, "height": 900})
        page.goto((Path(folder) / f"{NOTEBOOK.stem}.html").as_uri())
        page.wait_for_timeout(3000)
        tops = page.evaluate("[...document.querySelectorAll('h2')].map(h => [h.innerText, h.offsetTop])")
        at = next(i for i, (words, _) in enumerate(tops) if words.startswith(HEADING))
        top, end = tops[at][1], tops[at + 1][1]
        clip: Any = {
            "x": 0,
            "y": top - 8,
            "width": 1060,
            "height": end - top - 8,
        }  # playwright does not export its type
        page.screenshot(path=studio.out / "notebook.png", full_page=True, clip=clip)
        page.close()


SHOTS: dict[str, Callable[[Studio], None]] = {"decode": _decode, "trajectories": _trajectories, "notebook": _notebook}
"""By picture: what makes it in a browser."""


def _run(module: str, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
