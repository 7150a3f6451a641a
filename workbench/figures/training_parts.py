"""Building blocks of training figures: smoothed and unsmoothed curves, low panels, colours by mask ratio."""

from dataclasses import dataclass, replace
from typing import Any

import plotly.graph_objects as go

from workbench.figures import style
from workbench.palette import ORDERED
from workbench.runs.curves import AXES, Axis, Numbers, smoothed, thinned

WAITING = "The first values are logged after a few steps."


@dataclass(frozen=True)
class CurveLine:
    """A curve as a line in a figure of trainings."""

    x: Numbers
    y: Numbers
    name: str
    colour: str
    axis: Axis
    """What `x` counts; the hover text has its unit."""
    dash: str = "solid"
    width: float = 2
    mode: str = "lines"
    symbol: str | None = None

    def trace(self) -> go.Scatter:
        """Returns the line for plotly."""
        unit = AXES[self.axis].split(" (")[0]
        return go.Scatter(
            x=self.x,
            y=self.y,
            name=self.name,
            mode=self.mode,
            line={"color": self.colour, "width": self.width, "dash": self.dash},
            marker={"symbol": self.symbol},
            hovertemplate=f"<b>{self.name}</b><br>%{{y:.4g}} at %{{x:,.4~g}} {unit}<extra></extra>",
        )


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
    """Returns the scale of a y axis; a logarithmic one has few labels, which would overlap in a low panel."""
    return {"type": "log", "dtick": "D2", "exponentformat": "none"} if log else {"rangemode": "tozero"}


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
