"""What figures of trainings are made of: curves pale and smoothed, panels that are low. It knows no run."""

from typing import Any

import plotly.graph_objects as go

from workbench.figures import style
from workbench.runs.curves import AXES, Axis, Numbers, smoothed, thinned

BANDS = ("#7A6FD0", "#2F7FC1", "#1A94A8", "#2E9E5B", "#A47A00", "#D55E00", "#D0578F")
"""From little to much hidden."""
WAITING = "The first line of the log comes after some steps."


def pale_and_smooth(
    x: Numbers,
    y: Numbers,
    name: str,
    colour: str,
    smoothing: float,
    axis: Axis,
    *,
    legend: bool = False,
    dash: str = "solid",
    pale: bool = True,
) -> list[go.Scatter]:
    """The curve as logged, pale, and smoothed; only the first where nothing is smoothed."""
    keep = thinned(len(x))
    bold = line_of(x[keep], smoothed(y, smoothing)[keep], name, colour, axis, dash=dash)
    bold.showlegend = legend
    if not smoothing or not pale:
        return [bold]
    raw = line_of(x[keep], y[keep], f"{name}, as logged", style.faded(colour, 0.4), axis, width=1)
    raw.showlegend, raw.hoverinfo, raw.hovertemplate = False, "skip", None
    return [raw, bold]


def line_of(
    x: Numbers,
    y: Numbers,
    name: str,
    colour: str,
    axis: Axis,
    *,
    width: float = 2,
    dash: str = "solid",
    mode: str = "lines",
    **look: Any,
) -> go.Scatter:
    """A curve."""
    unit = AXES[axis].split(" (")[0]
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode=mode,
        line={"color": colour, "width": width, "dash": dash},
        hovertemplate=f"<b>{name}</b><br>%{{y:.4g}} at %{{x:,.4~g}} {unit}<extra></extra>",
        **look,
    )


def add_line(
    figure: go.Figure,
    column: int,
    x: Numbers,
    y: Numbers,
    name: str,
    colour: str,
    axis: Axis,
    mode: str = "lines+markers",
    dash: str = "solid",
) -> None:
    """A line in a panel; a name stands in the legend once."""
    keep = thinned(len(x))
    trace = line_of(x[keep], y[keep], name, colour, axis, mode=mode, dash=dash)
    trace.showlegend = name not in {each.name for each in figure.data}
    trace.legendgroup = name
    figure.add_trace(trace, row=1, col=column)


def ratio_colour(ratio: float) -> str:
    """From little to much hidden; the same in every panel."""
    place = min(max(ratio, 0.0), 1.0) * (len(BANDS) - 1)
    low, high = BANDS[int(place)], BANDS[min(int(place) + 1, len(BANDS) - 1)]
    parts = ((int(low[i : i + 2], 16), int(high[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * (place % 1)):02x}" for a, b in parts)


def percent(ratio: str) -> str:
    """`0.75` as `75`."""
    return f"{100 * float(ratio):.0f}"


def scale(log: bool) -> dict[str, Any]:
    """A logarithmic axis has few labels, or they overlap in a low panel."""
    return {"type": "log", "dtick": "D2", "exponentformat": "none"} if log else {"rangemode": "tozero"}


def say(figure: go.Figure, text: str, column: int) -> None:
    """A word in a panel that has nothing to draw."""
    number = "" if column == 1 else str(column)
    figure.add_annotation(text=text, showarrow=False, x=0.5, y=0.5, xref=f"x{number} domain", yref=f"y{number} domain")


def compact(figure: go.Figure, title: str, axis: Axis, height: int = 270, legend: bool = False) -> go.Figure:
    """A low panel of an instrument. `uirevision` keeps a reader's zoom while numbers come in."""
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
    """What stands where nothing was logged yet."""
    return style.empty(title, why).update_layout(uirevision="kept", margin={"t": 50, "b": 20})
