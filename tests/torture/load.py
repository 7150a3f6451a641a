"""What many tabs, and long use, cost the app: `python -m tests.torture.load` serves it and prints the figures.

Tabs speak the protocol without a browser (`sessions`). Each moves a light control of its page and then pauses, as a
reader does; a training of two ranks' worth of work can run beside them.
"""

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import psutil

from app.browsing import served
from tests.torture.sessions import Tab


class Control(NamedTuple):
    """A light control of a page, and the values that it is moved through."""

    page: str
    key: str
    field: str
    values: tuple[float, ...]
    settings: Mapping[str, str] = MappingProxyType({})
    """Settings in the address at which the page has the control whatever goes on."""


CONTROLS = (
    Control("masking", "in.masking.center_end", "double_array_value", (0.4, 0.5, 0.6, 0.7, 0.8)),
    Control("data", "in.data.page", "double_value", (2, 3, 4, 5, 6)),
    Control("train", "in.train.minutes", "double_value", (5, 7, 9, 12, 15), {"in.train.view": "Set up"}),
    Control("decode", "in.decode.seed", "double_value", (1, 2, 3, 4, 5)),
    Control("trajectories", "in.trajectories.candidates", "double_array_value", (3, 4, 5, 6, 7)),
)


@dataclass
class Load:
    """What tabs met."""

    opening: list[float] = field(default_factory=list)
    """Seconds until a page had come."""
    moves: list[float] = field(default_factory=list)
    """Seconds from a move to its whole answer."""
    errors: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Moves that the address of the tab does not know afterwards."""

    def said(self) -> str:
        """The figures in one line."""
        middle, late = statistics.median(self.moves), statistics.quantiles(self.moves, n=20)[-1]
        return (
            f"{len(self.opening)} tabs opened in {statistics.median(self.opening):.2f} s each (median); "
            f"{len(self.moves)} moves: median {middle:.2f} s, p95 {late:.2f} s, longest {max(self.moves):.2f} s; "
            f"{len(self.errors)} errors, {len(self.lost)} lost"
        )


def many_tabs(address: str, tabs: int, seconds: float, pause: tuple[float, float], seed: int = 0) -> Load:
    """Opens so many tabs on the pages of CONTROLS in turn, and moves their controls side by side for some seconds."""
    load, opened = Load(), threading.Barrier(tabs)

    def read(number: int) -> None:
        control, draws = CONTROLS[number % len(CONTROLS)], random.Random(seed * tabs + number)
        try:
            with Tab(address, control.page, control.settings) as tab:
                load.opening.append(tab.seconds)
                opened.wait()
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    time.sleep(draws.uniform(*pause))
                    _move(tab, control, draws.choice(control.values), load)
                load.errors.extend(tab.errors)
        except Exception as error:  # whatever it is, a tab met it
            load.errors.append(f"{control.page}: {type(error).__name__}: {error}")
            opened.abort()

    threads = [threading.Thread(target=read, args=(number,)) for number in range(tabs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load


def _move(tab: Tab, control: Control, value: float, load: Load) -> None:
    many = control.field.endswith("array_value")
    load.moves.append(tab.set(control.key, **{control.field: [value] if many else value}))
    known = tab.settings.get(control.key)
    if control.page != "masking" and (known is None or float(known[0]) != value):  # its pages run apart
        load.lost.append(f"{control.key} = {value:g}, the address says {known}")


def many_decodes(address: str, count: int) -> Iterator[int]:
    """Paints one picture after the other on the Decode page; yields how many there are."""
    with Tab(address, "decode") as tab:
        tab.wait()
        for number in range(count):
            before = tab.settings.get("in.decode.shown")
            tab.set("in.decode.seed", double_value=float(number + 1))
            tab.press("do.decode.go")
            tab.wait()
            assert not tab.errors, tab.errors
            assert tab.settings.get("in.decode.shown") != before, "the page shows no new picture"
            yield number + 1


def open_and_close(address: str, count: int) -> None:
    """Opens so many tabs one after the other, on the pages in turn, and closes each."""
    for number in range(count):
        with Tab(address, CONTROLS[number % len(CONTROLS)].page) as tab:
            assert not tab.errors, tab.errors


def megabytes() -> float:
    """Memory of the app that `served` started from this process."""
    (app,) = [each for each in psutil.Process().children() if _serves(each)]
    return app.memory_info().rss / 2**20


def _serves(process: psutil.Process) -> bool:
    """Whether it is Streamlit. Others that this process started may have ended, or end while they are asked."""
    try:
        return "streamlit" in process.cmdline()
    except psutil.NoSuchProcess:  # also a zombie
        return False


@contextmanager
def training(workspace: Path) -> Iterator[None]:
    """Trains beside what the block does."""
    command = [sys.executable, "-m", "dream", "train", "--preset", "tiny", "--data", "shapes", "--minutes", "60"]
    process = subprocess.Popen(
        [*command, "--out", str(workspace / "runs" / "beside")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Prints the figures of the long form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tabs", type=int, default=20, help="tabs side by side (default: 20)")
    parser.add_argument("--seconds", type=float, default=60, help="how long they move their controls (default: 60)")
    parser.add_argument("--pause", type=float, default=5, help="mean seconds between a tab's moves (default: 5)")
    parser.add_argument(
        "--decodes", type=int, default=1000, help="pictures painted one after the other (default: 1000)"
    )
    parser.add_argument("--opened", type=int, default=50, help="tabs opened and closed (default: 50)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as address:
        with training(Path(folder)):
            many_tabs(address, len(CONTROLS), 1, (0.1, 0.2))  # what a first visitor pays
            load = many_tabs(address, asked.tabs, asked.seconds, (asked.pause / 2, 1.5 * asked.pause))
        print(f"with a training beside, {load.said()}", *load.errors[:3], *load.lost[:3], sep="\n")
        for _ in many_decodes(address, 5):
            pass
        before = megabytes()
        open_and_close(address, asked.opened)
        print(
            f"memory {before:.0f} MB; after {asked.opened} tabs were opened and closed {megabytes():.0f} MB", flush=True
        )
        for done in many_decodes(address, asked.decodes):
            if done % 100 == 0 or done == asked.decodes:
                print(f"after {done} decodes {megabytes():.0f} MB", flush=True)


if __name__ == "__main__":
    main()
