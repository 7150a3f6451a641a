"""Figures of Semantically Aligned Decoding: candidate scores by step, and the value of choosing at each step.

They take races and finished candidates and return plotly Figures.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from dream.evaluation.statistics import Estimate
from workbench import palette
from workbench.figures import style
from workbench.figures.panels import Panel, Point, add_lines, panel_cell, panel_grid, titled
from workbench.trajectories.finished import Finished
from workbench.trajectories.race import Race
from workbench.trajectories.worth import Worth, random_regret, random_right

DECODED = "decoded (% of tokens; steps done below)"
RANK, AUC, SHARE = "rank correlation (Spearman's rho)", "AUC (0.5 = chance)", "share of prompts"
RANGES = {RANK: [-1.05, 1.05], AUC: [-0.03, 1.03], SHARE: [-0.03, 1.03]}
"""Ranges of axes with bounded values."""
MOST_TICKS = 7

CHOSEN, LOT, PLAIN = "chosen at this step", "a random candidate", "one plain picture"
MEASURED, COUNTED, ALL = "measured time", "decoding steps", "all K finished"
COLOURS = {
    CHOSEN: palette.OBJECTIVES["dream"],
    LOT: palette.NEUTRAL,
    PLAIN: palette.NEUTRAL,
    MEASURED: palette.OBJECTIVES["dream"],
    COUNTED: palette.OBJECTIVES["clip"],
    ALL: palette.NEUTRAL,
}
NAMES = {
    CHOSEN: "chosen here",
    LOT: "random",
    PLAIN: "one plain",
    MEASURED: "time",
    COUNTED: "steps",
    ALL: "all finished",
}
"""Names at the ends of the lines."""
NAMES_END = 1.42
"""Right end of the x axis, which leaves room for the names."""
NAME_HEIGHT = 0.075
"""Least distance of two names, as a share of the panel's height."""
SYMBOLS = {CHOSEN: "circle", LOT: "circle", PLAIN: "circle", MEASURED: "circle", COUNTED: "square", ALL: "circle"}


# the race


class Line(NamedTuple):
    """Scores of one candidate."""

    candidate: int
    steps: list[int]
    decoded: list[float]
    alignment: list[float]
    dropped: bool
    """Whether the line ends because the candidate was not chosen."""


def race_info(race: Race) -> list[Line]:
    """Returns the scores of each candidate for the steps it was alive."""
    lines = []
    for k in range(race.candidates):
        there = np.flatnonzero(race.alive[:, k] & ~np.isnan(race.alignment[:, k]))
        if len(there):
            dropped = not race.kept[there[-1], k]
            lines.append(
                Line(
                    k,
                    [race.steps[i] for i in there],
                    [race.decoded[i] for i in there],
                    race.alignment[there, k].tolist(),
                    dropped,
                )
            )
    return lines


def plot_race(race: Race | None, title: str = "Alignment during decoding") -> go.Figure:
    """Plots the score of each candidate by decoded share; choices are dotted lines, the winner is bold."""
    if race is None or not race.steps:
        return style.empty(title, "Nothing has been painted yet.")
    figure = style.themed(go.Figure()).update_layout(height=420, hovermode="closest")
    for line in race_info(race):
        figure.add_trace(_race_trace(line, race))
    if race.redraws:
        figure.add_trace(_trunk(race))
    for i in race.choices if not race.redraws else race.choices[:1]:
        _mark(figure, race.decoded[i], f"choice after step {race.steps[i]}")
    ticks = plan_ticks(race.steps, race.decoded)
    figure.update_xaxes(title_text=DECODED, range=[-0.02, 1.04], zeroline=False, **ticks)
    figure.update_yaxes(title_text="alignment with the prompt (cosine)")
    kind = (
        "each marker is one draw of the step; the line is what was kept"
        if race.redraws
        else ("x: dropped; bold: chosen" if race.choices else "all candidates are continued")
    )
    figure.update_layout(
        margin={"t": 80, "b": 110},
        uirevision="race",
        legend={
            "yref": "container",
            "y": 0.0,
            "yanchor": "bottom",
            "x": 0.0,
            "title": {"text": "candidate", "side": "left", "font": {"size": 13}},
        },
    )
    return titled(figure, title, kind)


def _race_trace(line: Line, race: Race) -> go.Scatter:
    colour, chosen = palette.candidate_colour(line.candidate), race.chosen == line.candidate
    symbols = ["circle"] * len(line.steps)
    if line.dropped and not race.redraws:
        symbols[-1] = "x"
    bold = chosen and bool(race.choices) and not race.redraws
    dash = "dot" if line.candidate >= len(palette.CANDIDATES) else "solid"  # colours repeat from there on
    return go.Scatter(
        x=line.decoded,
        y=line.alignment,
        name=f"{line.candidate + 1}",
        legendrank=line.candidate,
        mode="markers" if race.redraws else "lines+markers",
        line={"color": colour, "width": 4 if bold else 1.8, "dash": dash},
        marker={"symbol": symbols, "size": [9 if s == "x" else 8 if bold else 5 for s in symbols], "color": colour},
        customdata=[[step, race.settings.steps] for step in line.steps],
        hovertemplate=f"<b>candidate {line.candidate + 1}</b><br>alignment %{{y:.3f}}<br>%{{x:.1%}} of tokens decoded"
        "<br>step %{customdata[0]} of %{customdata[1]}<extra></extra>",
    )


def _trunk(race: Race) -> go.Scatter:
    """Returns the line through the draws that were kept."""
    kept = race.kept.argmax(1)
    scores = race.alignment[np.arange(len(kept)), kept]
    return go.Scatter(
        x=list(race.decoded),
        y=scores.tolist(),
        mode="lines",
        name="kept",
        hoverinfo="skip",
        line={"color": palette.NEUTRAL, "width": 2},
    )


def _mark(figure: go.Figure, decoded: float, text: str, **where: int) -> None:
    figure.add_vline(
        x=decoded,
        line={"color": palette.NEUTRAL, "width": 1.5, "dash": "dot"},
        annotation_text=text,
        annotation_position="bottom right" if decoded < 0.7 else "bottom left",
        annotation_font={"size": 12, "color": palette.NEUTRAL},
        **where,
    )


def plan_ticks(steps: Sequence[int], decoded: Sequence[float], most: int = MOST_TICKS) -> dict[str, list]:
    """Returns ticks with the share of tokens decoded and, below it, the steps done."""
    evenly = np.linspace(0.0, 1.0, most)
    places = sorted({min(range(len(decoded)), key=lambda i: abs(decoded[i] - at)) for at in evenly})
    return {
        "tickvals": [decoded[i] for i in places],
        "ticktext": [f"{100 * decoded[i]:.3g} %<br>step {steps[i]}" for i in places],
    }


# value of choosing


def worth_info(finished: Finished, rows: Sequence[Worth], strict: bool = True) -> list[Panel]:
    """Returns panels by decoded share: rank correlation, regret and cost; AUC and accuracy if candidates are judged."""

    def line(name: str, estimates: Sequence[Estimate | None]) -> list[Point]:
        return [
            Point(name, e.value, e.low, e.high, e.count, row.decoded, e.interval)
            for row, e in zip(rows, estimates, strict=True)
            if e is not None and e.value == e.value
        ]

    def level(name: str, value: float) -> list[Point]:
        return [Point(name, value, value, value, len(finished.prompts), row.decoded) for row in rows]

    panels = [
        Panel("Does it predict the final score?", RANK, line(CHOSEN, [row.rank for row in rows]) + level(LOT, 0.0)),
        Panel(
            "Regret of choosing at this step",
            "regret (cosine)",
            line(CHOSEN, [row.regret for row in rows]) + level(LOT, random_regret(finished)),
        ),
    ]
    if any(row.auc for row in rows):
        points = line(CHOSEN, [row.auc for row in rows]) + level(LOT, 0.5)
        panels.append(Panel("Does it tell right from wrong?", AUC, points))
    share = random_right(finished, strict)
    if share is not None and len(finished.prompts) > 1:
        points = line(CHOSEN, [row.right for row in rows]) + level(LOT, share)
        panels.append(Panel("Accuracy of the choice", SHARE, points))
    return [*panels, _cost(finished, rows)]


def _cost(finished: Finished, rows: Sequence[Worth]) -> Panel:
    def points(name: str, values: Sequence[float]) -> list[Point]:
        return [
            Point(name, value, value, value, finished.timed_prompts, row.decoded)
            for row, value in zip(rows, values, strict=True)
            if value == value
        ]

    everything = [rows[0].seconds_all / rows[0].seconds_plain if rows[0].seconds_plain else float("nan")]
    lines = points(MEASURED, [row.slower for row in rows]) + points(COUNTED, [r.picture_steps for r in rows])
    lines += points(ALL, everything * len(rows)) + points(PLAIN, [1.0] * len(rows))
    return Panel("Cost of the choice", "cost (relative to one plain picture)", lines)


def plot_worth(
    finished: Finished | None,
    rows: Sequence[Worth],
    marked: float | None = None,
    strict: bool = True,
    title: str = "Value of choosing at each step",
) -> go.Figure:
    """Plots the value of a choice at each step; `marked` is the decoded share of the choice that was made."""
    if finished is None or not rows:
        return style.empty(title, "Not all candidates are finished yet.")
    panels = worth_info(finished, rows, strict)
    columns = 2  # three are not legible on a narrow page
    figure = panel_grid([panel.title for panel in panels], columns, 260)
    add_lines(figure, panels, COLOURS, SYMBOLS)
    figure.for_each_trace(_thin, lambda trace: trace.name in (LOT, PLAIN, ALL))
    ticks = plan_ticks(finished.steps, finished.decoded, 4)
    for i, panel in enumerate(panels):
        where = panel_cell(i, columns)
        figure.update_yaxes(title_text=panel.axis, **where)
        figure.update_xaxes(
            title_text=DECODED, title_font_size=11, range=[-0.03, NAMES_END], zeroline=False, **ticks, **where
        )
        if marked is not None:
            figure.add_vline(x=marked, line={"color": palette.NEUTRAL, "width": 1.5, "dash": "dot"}, **where)
        span = RANGES.get(panel.axis) or span_from_zero(panel.points)
        figure.update_yaxes(range=span, **where)
        for name, height in name_heights(panel.points, span).items():
            label = {"text": NAMES[name], "font": {"size": 12, "color": COLOURS[name]}, "showarrow": False}
            figure.add_annotation(x=1.03, y=height, xanchor="left", yanchor="middle", **label, **where)
    many = len(finished.prompts)
    note = f"means over {many} prompts; bands: 95 % intervals" if many > 1 else "one prompt, one seed"
    figure.update_layout(margin={"t": 90, "b": 90}, showlegend=False)
    return titled(figure, title, f"{note}; dotted: the choice that was made" if marked is not None else note)


def span_from_zero(points: Sequence[Point]) -> list[float]:
    """Returns a range of an axis from 0, or from the lowest value if that is below, to above the highest."""
    ends = [end for p in points for end in (p.value, p.low, p.high) if end == end]
    return [min(0.0, 1.08 * min(ends)), 1.08 * max(*ends, 1e-9)]


def name_heights(points: Sequence[Point], span: Sequence[float]) -> dict[str, float]:
    """Returns the height of the name of each line, at its last point unless another name is there."""
    lasts = {point.name: min(max(point.value, span[0]), span[1]) for point in sorted(points, key=lambda p: p.at)}
    gap = NAME_HEIGHT * (span[1] - span[0])
    heights: dict[str, float] = {}
    for name, height in sorted(lasts.items(), key=lambda item: item[1]):
        heights[name] = max(height, max(heights.values(), default=height - gap) + gap)
    over = max(heights.values()) - span[1]
    return {name: height - max(0.0, over) for name, height in heights.items()}


def _thin(trace: go.Scatter) -> None:
    """Draws a reference as a thin dashed line without a band."""
    dash = {LOT: "dash", PLAIN: "dot", ALL: "dash"}[trace.name]
    if trace.mode != "lines":
        trace.update(mode="lines", line={"width": 1.5, "dash": dash})
    else:
        trace.update(fillcolor="rgba(0,0,0,0)")
