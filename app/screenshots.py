"""Saves every page of the app in both themes as PNG (`make screenshots`).

The workspace is filled once (a short training, an evaluation of the shipped model), so that no page is empty.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from app.browsing import chromium, open_page, press, reason_missing, served, settle
from app.contents import PAGES

STEPS = 120
"""Steps of the training that the pages show."""
SIZE = (1440, 1600)
PRESSED = {
    "decode": ("do.decode.go",),
    "trajectories": ("do.trajectories.example.0", "do.trajectories.paint", "do.trajectories.finish"),
}
"""Keys of the buttons to press before the screenshot, so that a page shows what it is for."""
SECONDS = 6.0
"""Time for figures to be drawn and background work to end."""


def main() -> int:
    """Takes the screenshots; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/screenshots"), help="folder for the PNGs")
    parser.add_argument("--pages", default="", help="comma-separated page names (default: all)")
    args = parser.parse_args()
    if missing := reason_missing():
        print(f"screenshots: {missing}", file=sys.stderr)
        return 1
    names = [name for section in PAGES.values() for name, _ in section]
    chosen = [name.strip() for name in args.pages.split(",") if name.strip()] or names
    if unknown := [name for name in chosen if name not in names]:
        print(f"screenshots: there is no page '{unknown[0]}'; choose from {', '.join(names)}", file=sys.stderr)
        return 2
    workspace = (args.out / "workspace").absolute()
    furnish(workspace)
    with served(workspace) as address, chromium() as browser:
        for theme in ("light", "dark"):
            for name in chosen:
                page = open_page(browser, f"{address}/{'' if name == 'home' else name}", theme, SIZE)
                for key in PRESSED.get(name, ()):
                    press(page, key)
                page.wait_for_timeout(1000 * SECONDS)
                settle(page)
                path = args.out / f"{name}-{theme}.png"
                page.screenshot(path=path, full_page=False)
                page.context.close()
                print(path)
    return 0


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
