"""Drives the app in headless Chromium, for screenshots and tests, with a server of its own.

Needs the packages of the `e2e` extra and a Chromium; `reason_missing` says what is missing.
"""

import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.doors import TOKEN_VARIABLE
from dream.errors import RunError
from workbench.figures.export import BROWSERS, find_browser
from workbench.workspace import VARIABLE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

MAIN = Path(__file__).parent / "main.py"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_SECONDS = 90
PATIENCE = 120_000
"""Milliseconds that a step may take on a busy machine."""


def reason_missing() -> str | None:
    """Says what browser tests lack on this machine; None if nothing."""
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed (pip install -e '.[e2e]')"
    return None if find_browser() else f"no browser found ({', '.join(BROWSERS)})"


@contextmanager
def served(workspace: Path, *options: str, script: Path = MAIN, token: str = "") -> Iterator[str]:
    """Serves the app for this workspace within the block; yields its address. Trainings that it started go on.

    `script` is served in the place of the app. Browsers need `token` if it has one.
    """
    port = _free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), *options]
    log = workspace / "streamlit.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=workspace,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, VARIABLE: str(workspace), TOKEN_VARIABLE: token},
        )
    try:
        _wait(f"http://127.0.0.1:{port}/_stcore/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def chromium() -> "Iterator[Browser]":
    """Opens a headless browser within the block."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(ARGUMENTS))
        yield browser
        browser.close()


def open_page(
    browser: "Browser", address: str, theme: Literal["light", "dark"] = "light", size: tuple[int, int] = (1440, 1000)
) -> "Page":
    """Opens a new tab at this address and waits until the app has drawn it."""
    context = browser.new_context(
        color_scheme=theme,
        viewport={"width": size[0], "height": size[1]},
        reduced_motion="reduce",
        bypass_csp=True,  # Playwright evaluates texts in the page, which the app's policy forbids
    )
    page = context.new_page()
    page.goto(address, timeout=PATIENCE)
    settle(page)
    return page


def settle(page: "Page", seconds: float = PATIENCE / 1000) -> None:
    """Waits until the app has run its script and stopped drawing."""
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=1000 * seconds)
    page.wait_for_timeout(400)


def widget(page: "Page", key: str) -> "Locator":
    """Locates the widget of that key."""
    return page.locator(f".st-key-{re.sub(r'[^A-Za-z0-9_-]', '-', key)}")


def press(page: "Page", key: str) -> None:
    """Presses the button of that key once it is enabled."""
    button = widget(page, key).locator("button:visible").first  # of two versions one is hidden, by the page's width
    button.wait_for(timeout=PATIENCE)
    page.wait_for_function("button => !button.disabled", arg=button.element_handle(), timeout=PATIENCE)
    button.click(timeout=PATIENCE)
    settle(page)


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RunError(f"the app ended while starting; see {log}")
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise RunError(f"the app did not answer at {address} within {START_SECONDS} s; see {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
