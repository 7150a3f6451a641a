"""Building blocks of training figures: smoothed and unsmoothed curves, low panels, colours by mask ratio."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from workbench.figures import style
from workbench.palette import ORDERED
from workbench.runs.curves import AXES, Axis, Numbers, smoothed, thinned

MARK = 7
"""Size of the mark of a single value."""
LABEL = 13
"""Least distance of two names at lines, in pixels."""
WIDEST = 18
"""Characters of a name at a line; the middle of a longer one is left out."""
WAITING = "The first values are logged after a few steps."


@dataclass(frozen=True)
class CurveLine:
    """A curve as a line in a figure of trainings."""

    x: Numbers
    y: Numbers
    name: str
    colour: str
    axis: Axis
    """Unit of `x`, for the hover text."""
    dash: str = "solid"
    width: float = 2
    mode: str = "lines"
    symbol: str | None = None

    def trace(self) -> go.Scatter:
        """Returns the line for plotly; a value without a neighbour, which a line would leave out, gets a mark."""
        unit, name = AXES[self.axis].split(" (")[0], style.figure_text(self.name)
        mode: str = self.mode
        marker: dict[str, Any] = {"symbol": self.symbol}
        if mode == "lines" and (single := alone(self.y)).any():
            mode, marker = "lines+markers", {"size": np.where(single, MARK, 0), "opacity": 1}
        return go.Scatter(
            x=self.x,
            y=self.y,
            name=name,
            mode=mode,
            line={"color": self.colour, "width": self.width, "dash": self.dash},
            marker=marker,
            hovertemplate=f"<b>{name}</b><br>%{{y:.4g}} at %{{x:,.4~g}} {unit}<extra></extra>",
        )


class LineEnd(NamedTuple):
    """A name to be written at the end of its line."""

    name: str
    colour: str
    x: float
    y: float


def alone(values: Numbers) -> np.ndarray:
    """Returns which values have no finite neighbour, as the single one of a curve."""
    known = np.concatenate([[False], np.isfinite(values), [False]])
    return known[1:-1] & ~known[:-2] & ~known[2:]


def line_end(trace: go.Scatter, name: str, colour: str) -> LineEnd | None:
    """Returns where the line ends; None if it has no value."""
    known = np.flatnonzero(np.isfinite(np.asarray(trace.y, dtype=float)))
    if not len(known):
        return None
    return LineEnd(name, colour, float(trace.x[known[-1]]), float(trace.y[known[-1]]))


def name_lines(figure: go.Figure, place: int, ends: Sequence[LineEnd], height: float, log: bool) -> None:
    """Writes each name at the end of its line in a panel (counted from 1), moved apart where they would overlap.

    `height` is that of the panel in pixels.
    """
    number = "" if place == 1 else str(place)
    values = [y for t in figure.data if t.yaxis in (f"y{number}", None) for y in t.y if y is not None and y == y]
    values = [y for y in values if y > 0 or not log]
    usable = [end for end in ends if end.y > 0 or not log]
    if not usable:
        return
    scaled = np.log10 if log else np.asarray
    low, high = float(scaled(min(values))), float(scaled(max(values)))
    pixel = height / ((high - low) or 1.0)
    at = [pixel * (float(scaled(end.y)) - low) for end in usable]
    for end, own, moved in zip(usable, at, apart(at, LABEL), strict=True):
        figure.add_annotation(
            x=end.x,
            y=float(scaled(end.y)),
            xref=f"x{number}",
            yref=f"y{number}",
            text=style.figure_text(middle_cut(end.name, WIDEST)),
            hovertext=style.figure_text(end.name),
            showarrow=False,
            xanchor="left",
            xshift=6,
            yshift=moved - own,
            font={"color": end.colour, "size": 12},
        )


def apart(places: Sequence[float], distance: float) -> list[float]:
    """Returns the places moved so that no two are nearer than `distance`, in the same order and little changed."""
    order = np.argsort(places, kind="stable")
    groups: list[tuple[float, int]] = []  # (center, how many) of names that touch
    for index in order:
        center, count = float(places[index]), 1
        while groups and center - groups[-1][0] < distance * (count + groups[-1][1]) / 2:
            before, others = groups.pop()
            center, count = (center * count + before * others) / (count + others), count + others
        groups.append((center, count))
    moved = [center + distance * (i - (count - 1) / 2) for center, count in groups for i in range(count)]
    result = np.empty(len(places))
    result[order] = moved
    return [float(place) for place in result]


def middle_cut(name: str, most: int) -> str:
    """Returns the name with its middle left out if it is longer than `most` characters."""
    if len(name) <= most:
        return name
    return f"{name[: most // 2]}…{name[len(name) - (most - 1) // 2 :]}"


def pale_and_smooth(line: CurveLine, smoothing: float, *, legend: bool = False, pale: bool = True) -> list[go.Scatter]:
    """Returns the unsmoothed values, pale, and the smoothed curve; only the curve if `pale` or `smoothing` is off."""
    keep = thinned(len(line.x))
    bold = replace(line, x=line.x[keep], y=smoothed(line.y, smoothing)[keep]).trace()
    bold.showlegend = legend
    if not smoothing or not pale:
        return [bold]
    faded = style.faded(line.colour, 0.4)
    name = f"{line.name}, unsmoothed"
    raw = CurveLine(line.x[keep], line.y[keep], name, faded, line.axis, width=1).trace()
    raw.showlegend, raw.hoverinfo, raw.hovertemplate = False, "skip", None
    return [raw, bold]


def add_line(figure: go.Figure, column: int, line: CurveLine) -> None:
    """Adds a line to a panel; each name stands in the legend once."""
    keep = thinned(len(line.x))
    trace = replace(line, x=line.x[keep], y=line.y[keep]).trace()
    trace.showlegend = line.name not in {other.name for other in figure.data}
    trace.legendgroup = line.name
    figure.add_trace(trace, row=1, col=column)


def ratio_colour(ratio: float) -> str:
    """Returns the colour of a mask ratio, the same in every panel."""
    place = min(max(ratio, 0.0), 1.0) * (len(ORDERED) - 1)
    low, high = ORDERED[int(place)], ORDERED[min(int(place) + 1, len(ORDERED) - 1)]
    channels = ((int(low[i : i + 2], 16), int(high[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * (place % 1)):02x}" for a, b in channels)


def percent(ratio: str) -> str:
    """Returns `0.75` as `75`."""
    return f"{100 * float(ratio):.0f}"


def scale(log: bool) -> dict[str, Any]:
    """Returns the scale of a y axis."""
    return dict(style.LOG_AXIS) if log else {"rangemode": "tozero"}


def add_remark(figure: go.Figure, text: str, column: int) -> None:
    """Writes a remark into a panel that has nothing to draw."""
    number = "" if column == 1 else str(column)
    figure.add_annotation(text=text, showarrow=False, x=0.5, y=0.5, xref=f"x{number} domain", yref=f"y{number} domain")


def compact(figure: go.Figure, title: str, axis: Axis, height: int = 270, legend: bool = False) -> go.Figure:
    """Lays out a low panel; `uirevision` keeps the reader's zoom while numbers come in."""
    style.themed(figure)
    figure.update_xaxes(title_text=AXES[axis], rangemode="tozero", title_standoff=4)
    below = 70 if legend else 0
    figure.update_annotations(font_size=14)
    figure.update_layout(
        title={"text": title, "font": {"size": 14}, "y": 1 - 12 / height} if title else None,
        height=height + below,
        margin={"l": 60, "r": 16, "t": 34, "b": 48 + below},
        uirevision="kept",
        legend={"y": -46 / (height - 82), "yanchor": "top"} if legend else None,
        showlegend=legend,
    )
    return figure


def waiting(title: str, why: str = WAITING) -> go.Figure:
    """Returns the placeholder for a figure without logged values."""
    return style.empty(title, why).update_layout(uirevision="kept", margin={"t": 50, "b": 20})
