"""The gain of choosing in pictures: of a hundred prompts, how many come out right without it and with it."""

import html
import math
from typing import NamedTuple

from workbench.palette import MESSAGES, NEUTRAL
from workbench.trajectories.finished import Finished
from workbench.trajectories.worth import Worth, random_right

RIGHT = MESSAGES["success"]


class Gain(NamedTuple):
    """Prompts of a hundred that come out right."""

    without: float
    """With a random candidate."""
    chosen: float
    """With the chosen one."""
    low: float
    """Ends of the 95 % interval of the gain, NaN if there is none."""
    high: float
    step: int
    times: float
    """Measured time, relative to one plain picture."""
    clock: str = "time"
    """What was measured, in words."""


def gain_of(found: Finished, row: Worth, strict: bool = True) -> Gain | None:
    """The gain of choosing at a step; None if the judge knows none of the prompts."""
    share = random_right(found, strict)
    if share is None or row.right is None or row.gain is None:
        return None
    low, high = (100 * end if row.gain.has_interval else math.nan for end in (row.gain.low, row.gain.high))
    return Gain(100 * share, 100 * row.right.value, low, high, row.step, row.slower)


def gain_html(gain: Gain) -> str:
    """HTML of two rows of a hundred marks, with the numbers and the cost next to them."""
    interval = "" if math.isnan(gain.low) else f" [{gain.low:+.1f}, {gain.high:+.1f}]"
    difference = gain.chosen - gain.without
    times = f" in {gain.times:.1f} times the {gain.clock}" if math.isfinite(gain.times) else ""
    rows = (
        ("without choosing", gain.without, "in the time of one picture"),
        (f"chosen after step {gain.step}", gain.chosen, f"{difference:+.1f}{interval}{times}"),
    )
    return (
        '<div style="display:grid;grid-template-columns:repeat(auto-fit,minmax(290px,1fr));gap:12px 32px;'
        f'max-width:760px">{"".join(_row(*row) for row in rows)}</div>'
    )


def _row(name: str, right: float, note: str) -> str:
    count = round(right)
    marks = "".join(
        f'<i style="aspect-ratio:1;border-radius:2px;border:1px solid {RIGHT if i < count else NEUTRAL};'
        f'background:{RIGHT if i < count else "transparent"}"></i>'
        for i in range(100)
    )
    said = html.escape(f"Of 100 prompts {count} come out right {name}")
    return (
        f'<div><div style="font-size:14px;margin-bottom:6px">Of 100 prompts <b>{count}</b> come out right '
        f"<b>{html.escape(name)}</b></div>"
        f'<div role="img" aria-label="{said}" style="display:grid;grid-template-columns:repeat(25,1fr);gap:2px">'
        f'{marks}</div><div style="font-size:14px;margin-top:6px">{html.escape(note)}</div></div>'
    )
