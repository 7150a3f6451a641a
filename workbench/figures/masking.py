"""Figures of a masking: mask-ratio density, draws per objective, batches with both objectives, draws at one moment.

Contrast, generation and both have the colours of the objectives that train them alone or together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from workbench import palette
from workbench.figures import style
from workbench.figures.style import FigureDraft, figure_text, spaced
from workbench.masking.drawn import DrawnRatios, drawn_windows
from workbench.masking.strip import COLOURS, trains
from workbench.masking.study import DrawnMask, Moment, Schedule
from workbench.palette import BOTH, CONTRAST, GENERATION

MEAN, RUN, INK = BOTH, palette.OBJECTIVES["repa"], palette.NEUTRAL
KINDS = (("contrast", CONTRAST, "circle"), ("generation", GENERATION, "square"), ("both", BOTH, "diamond"))
"""(field of `Shares`, colour, symbol for the draws of a run)."""
MOST_POINTS = 1500
"""Maximum number of a run's ratios shown; if there are more, an even selection is."""
RUN_MEAN = {"color": MEAN, "size": 9, "symbol": "diamond", "line": {"width": 1.5, "color": palette.BACKGROUND["light"]}}
RATIO, TIME = "mask ratio (share of tokens hidden)", "training progress (%)"
RATIOS = {"title": {"text": RATIO}, "range": [-0.02, 1.02], "dtick": 0.25}
"""Layout of an axis of mask ratios."""
IN_PLACE = {"xref": "x", "yref": "y", "sizing": "stretch", "layer": "below"}
"""Layout of a picture that fills its place on the axes."""
RIDGES = 9
MOST_COLUMNS = 60
"""Maximum number of moments in the heat map; if there are more, every second or third is shown."""
MARGIN = {"l": 60, "r": 20, "t": 76, "b": 50}
WIDE = {**MARGIN, "r": 100}
"""Margins of a figure with text on the right."""


def plot_density(schedule: Schedule, moment: float | None = None, drawn: DrawnRatios | None = None) -> go.Figure:
    """Plots the density of the mask ratio over the training as a heat map.

    Lines show location, true mean and the bounds of the two losses; `moment` (0 to 1) adds a vertical line, `drawn`
    the ratios of a run.
    """
    draft = _started("Mask ratio over the training (darker: more draws)", 380, WIDE)
    middles = (schedule.edges[1:] + schedule.edges[:-1]) / 2
    thin = slice(None, None, 1 + (len(schedule.progress) - 1) // MOST_COLUMNS)
    draft.add(
        "heatmap",
        x=100 * schedule.progress[thin],
        y=middles,
        z=schedule.density[thin].T.astype(np.float32),
        name="density",
        zmin=0,
        zmax=float(np.clip(schedule.density.max(), 1.5, 5.0)),
        zsmooth=False,
        colorscale=[[share, style.faded(palette.DENSITY, share)] for share in (0, 0.5, 1)],
        hovertemplate="at %{x:.0f} % of training, ratio %{y:.2f}<br>density %{z:.2f}<extra></extra>",
        showscale=False,
    )
    if drawn is not None:
        _add_drawn(draft, drawn)
    _add_lines(draft, schedule)
    _add_bounds(draft, schedule)
    _add_moment(draft, moment)
    return draft.figure(yaxis=RATIOS)


def plot_ridges(schedule: Schedule, moment: float | None = None, drawn: DrawnRatios | None = None) -> go.Figure:
    """Plots the density at several moments of the training as ridges, with its true mean and the mean of a run."""
    draft = _started("Mask ratio over the training", 420, MARGIN)
    middles = (schedule.edges[1:] + schedule.edges[:-1]) / 2
    picked = np.linspace(0, len(schedule.progress) - 1, RIDGES).round().astype(int)
    nearest = None if moment is None else picked[np.abs(schedule.progress[picked] - moment).argmin()]
    height = 1.8 / max(1.8, float(np.minimum(schedule.density[picked], 6).max()))
    for at in picked[::-1]:  # from the end: earlier ridges are drawn over later ones
        base, ridge = 100 * schedule.progress[at], np.minimum(schedule.density[at], 6)
        lit = at == nearest
        draft.add(
            "scatter",
            x=[0, 0, *middles, 1, 1],
            y=[base, *(base + 12 * height * np.pad(ridge, 1, "edge")), base],
            fill="toself",
            fillcolor=style.faded(palette.DENSITY, 0.65 if lit else 0.3),
            name=f"at {base:.0f} %",
            line={"color": palette.DENSITY, "width": 2.5 if lit else 1.2},
            mode="lines",
            showlegend=False,
            hovertemplate=f"at {base:.0f} % of training<br>ratio %{{x:.2f}}<extra></extra>",
        )
    draft.add(
        "scatter",
        x=schedule.mean,
        y=100 * schedule.progress,
        mode="lines",
        name="true mean",
        line={"color": MEAN, "width": 3},
        hovertemplate="at %{y:.0f} % of training: mean %{x:.3f}<extra></extra>",
    )
    if drawn is not None:
        windows = drawn_windows(drawn)
        draft.add(
            "scatter",
            x=[w[1] for w in windows],
            y=[100 * w[0] for w in windows],
            mode="markers",
            name=f"mean of {figure_text(drawn.name)}",
            marker=RUN_MEAN,
            hovertemplate=f"{figure_text(drawn.name)}, around %{{y:.0f}} % of training: mean %{{x:.3f}}<extra></extra>",
        )
    for value, colour, words in _bound_words(schedule):
        draft.add_upright(value, color=colour, width=1.5, dash="dot")
        draft.add_note(
            x=value,
            y=1,
            yref="paper",
            yanchor="bottom",
            text=words.replace("<br>", " "),
            font={"color": colour, "size": 12},
            xanchor="right" if colour == GENERATION else "left",
        )
    times = {"title": {"text": TIME}, "range": [-3, 128], "tickvals": [0, 25, 50, 75, 100]}
    return draft.figure(xaxis=RATIOS, yaxis=times, margin={"t": 96}, legend={"y": 1.07})


def plot_shares(schedule: Schedule, moment: float | None = None, drawn: DrawnRatios | None = None) -> go.Figure:
    """Plots the share of draws that train contrast, generation and both over the training; markers show a run."""
    draft = _started("Draws per objective", 330, {**MARGIN, "t": 50, "r": 90})
    windows = [] if drawn is None else drawn_windows(drawn)
    run = "" if drawn is None else figure_text(drawn.name)
    for name, colour, symbol in KINDS:
        draft.add(
            "scatter",
            x=100 * schedule.progress,
            y=100 * schedule.shares[name],
            mode="lines",
            name=name,
            line={"color": colour, "width": 2.5, "dash": "dash" if name == "both" else "solid"},
            hovertemplate=f"{name}: %{{y:.1f}} % of the draws<extra></extra>",
        )
        if drawn is not None:
            draft.add(
                "scatter",
                x=[100 * w[0] for w in windows],
                y=[100 * getattr(w[2], name) for w in windows],
                mode="markers",
                name=f"{name}, {run}",
                showlegend=False,
                customdata=[w[3] for w in windows],
                marker={"color": colour, "size": 7, "symbol": symbol, "line": {"width": 1, "color": INK}},
                hovertemplate=f"{run}, {name}: %{{y:.1f}} % of %{{customdata:,}} draws<extra></extra>",
            )
    _name_ends(draft, [(float(schedule.shares[n][-1]), n, colour) for n, colour, _ in KINDS])
    _add_moment(draft, moment)
    return draft.figure(yaxis=_percent("share of draws (%)"), hovermode="x unified", showlegend=False)


def plot_chance(schedule: Schedule, moment: float | None = None) -> go.Figure:
    """Plots the chance that a batch trains both objectives, for the chosen number of groups and for others."""
    draft = _started("Both objectives in one batch", 330, {**MARGIN, "t": 50, "r": 90})
    colours = style.count_colours(list(schedule.chance))
    ends = []
    for groups, chance in schedule.chance.items():
        own = groups == schedule.groups
        words = f"{groups} group{'s' * (groups > 1)}"
        draft.add(
            "scatter",
            x=100 * schedule.progress,
            y=100 * chance,
            mode="lines",
            name=words,
            showlegend=False,
            line={"color": colours[groups], "width": 4 if own else 1.5},
            opacity=1 if own else 0.75,
            hovertemplate=f"{words}: %{{y:.1f}} %<extra></extra>",
        )
        ends.append((float(chance[-1]), f"<b>{words}</b>" if own else words, colours[groups]))
    _name_ends(draft, ends)
    _add_moment(draft, moment)
    return draft.figure(yaxis=_percent("chance (%)"), hovermode="x unified")


def plot_moment(moment: Moment, near: np.ndarray | None = None, run: str = "run", bins: int = 20) -> go.Figure:
    """Plots a histogram of the draws at a moment and the closed form; an outline shows draws of a run near it."""
    draft = _started(f"Draws at {moment.progress:.0%} of the training", 330, {**MARGIN, "t": 92})
    run = figure_text(run)
    edges, top = np.linspace(0, 1, bins + 1), max(1.0, float(moment.density.max()))
    for ratios, name, look in (
        (moment.ratios, "draws", {"color": style.faded(palette.DENSITY, 0.45), "line": {"width": 0}}),
        (near, f"draws of {run}", {"color": "rgba(0, 0, 0, 0)", "line": {"width": 1.5, "color": RUN}}),
    ):
        if ratios is None or not len(ratios):
            continue
        height, _ = np.histogram(ratios, edges, density=True)
        top = max(top, float(height.max()))
        draft.add(
            "bar",
            x=(edges[1:] + edges[:-1]) / 2,
            y=height,
            width=1 / bins,
            name=f"{len(ratios):,} {name}",
            marker=look,
            hovertemplate="ratio %{x:.3f}: density %{y:.2f}<extra></extra>",
        )
    draft.add(
        "scatter",
        x=moment.at,
        y=moment.density,
        mode="lines",
        name="closed form",
        line={"color": palette.DENSITY, "width": 2.5},
        hovertemplate="ratio %{x:.3f}: density %{y:.2f}<extra></extra>",
    )
    top *= 1.15
    for ratio, share in moment.points:
        draft.add_note(
            x=ratio,
            y=0.97 * top,
            xanchor="left" if ratio < 0.5 else "right",
            text=f"always {ratio:.2f}" if share > 0.999 else f"{ratio:.2f}: {share:.0%} of the draws",
            xshift=8 if ratio < 0.5 else -8,
        )
    _add_places(draft, moment)
    heights = {"title": {"text": "density (per unit of ratio)"}, "range": [0, top]}
    note = f"bars: {len(moment.ratios):,} draws; line: closed form"
    if near is not None:
        note += f"<br>outline: {len(near):,} draws of {run} near this moment"
    title = f"{draft.heading}<br><span style='font-size:12px'>{note}</span>"
    return draft.figure(xaxis=RATIOS, yaxis=heights, barmode="overlay", showlegend=False, title={"text": title})


def _started(title: str, height: int, margin: dict[str, int]) -> FigureDraft:
    return FigureDraft(
        title,
        height=height,
        margin=margin,
        xaxis={"title": {"text": TIME}, "range": [0, 100], "dtick": 25},
        title={"font": {"size": 16}, "y": 1 - 16 / height},
        legend={"y": 1, "yanchor": "bottom", "x": 0, "font": {"size": 12}},
    )


def _percent(title: str) -> dict[str, Any]:
    return {"title": {"text": title}, "range": [-2, 104], "dtick": 25}


def _add_lines(draft: FigureDraft, schedule: Schedule) -> None:
    x = 100 * schedule.progress
    if not np.isnan(schedule.center).all():
        draft.add(
            "scatter",
            x=x,
            y=schedule.center,
            mode="lines",
            name="location",
            line={"color": INK, "width": 2, "dash": "dash"},
            hovertemplate="at %{x:.0f} % of training: location %{y:.3f}<extra></extra>",
        )
    draft.add(
        "scatter",
        x=x,
        y=schedule.mean,
        mode="lines",
        name="true mean",
        line={"color": MEAN, "width": 3},
        hovertemplate="at %{x:.0f} % of training: mean %{y:.3f}<extra></extra>",
    )


def _add_bounds(draft: FigureDraft, schedule: Schedule) -> None:
    words = _bound_words(schedule)
    places = spaced([value for value, _, _ in words], 0.14)
    for (value, colour, text), place in zip(words, places, strict=True):
        draft.add_level(value, color=colour, width=1.5, dash="dot")
        draft.add_note(
            x=1,
            xref="paper",
            xanchor="left",
            xshift=6,
            y=place,
            text=text,
            align="left",
            font={"color": colour, "size": 12},
        )


def _bound_words(schedule: Schedule) -> list[tuple[float, str, str]]:
    return [
        (schedule.min_masked, GENERATION, "generation<br>counts above"),
        (schedule.max_masked, CONTRAST, "contrast<br>counts below"),
    ]


def _add_moment(draft: FigureDraft, moment: float | None) -> None:
    if moment is not None:
        draft.add_upright(100 * moment, color=INK, width=1.5)


def _add_places(draft: FigureDraft, moment: Moment) -> None:
    """Adds location and true mean as labelled vertical lines; a location off the axis is left out."""
    places = [("mean", moment.mean, MEAN, "solid")]
    if moment.center is not None and 0 <= moment.center <= 1:
        places.append(("location", moment.center, INK, "dash"))
    rightmost = max(value for _, value, _, _ in places)
    for name, value, colour, dash in places:
        draft.add_upright(value, color=colour, width=2.5, dash=dash)
        right = value == rightmost if len(places) > 1 else value < 0.5
        draft.add_note(
            x=value,
            y=1,
            yref="paper",
            yanchor="bottom",
            text=f"{name} {value:.2f}",
            xanchor="left" if right and value < 0.8 else "right",
            font={"color": colour, "size": 12},
        )


def _name_ends(draft: FigureDraft, ends: Sequence[tuple[float, str, str]]) -> None:
    """Labels lines at their right ends: (share, text, colour)."""
    places = spaced([100 * share for share, _, _ in ends], 8.0)
    for (_, words, colour), place in zip(ends, places, strict=True):
        draft.add_note(
            x=1, xref="paper", xanchor="left", xshift=6, y=place, text=words, font={"color": colour, "size": 12}
        )


def _add_drawn(draft: FigureDraft, drawn: DrawnRatios) -> None:
    picked = np.linspace(0, len(drawn.ratios) - 1, min(MOST_POINTS, len(drawn.ratios))).round().astype(int)
    draft.add(
        "scatter",
        x=100 * drawn.progress[picked],
        y=drawn.ratios[picked],
        mode="markers",
        name=figure_text(drawn.name),
        marker={"color": RUN, "size": 4, "opacity": 0.55},
        hovertemplate=f"{figure_text(drawn.name)}, at %{{x:.1f}} % of training: ratio %{{y:.3f}}<extra></extra>",
    )
    windows = drawn_windows(drawn)
    draft.add(
        "scatter",
        x=[100 * w[0] for w in windows],
        y=[w[1] for w in windows],
        mode="markers",
        name=f"mean of {figure_text(drawn.name)}",
        marker=RUN_MEAN,
        hovertemplate=f"{figure_text(drawn.name)}, around %{{x:.0f}} % of training: mean %{{y:.3f}}<extra></extra>",
    )


def plot_masks(masks: Sequence[DrawnMask], picture: str, columns: int = 4) -> go.Figure:
    """Shows a picture (PNG data URL) under each mask, with the ratio above and the objective it trains below."""
    if not masks:
        return style.empty("Masks", "There are no groups.")
    grid, columns = len(masks[0].hidden), min(columns, len(masks))
    wide, high = 1.06 * grid, 1.4 * grid
    rows, images, notes, traces = -(-len(masks) // columns), [], [], []
    for number, mask in enumerate(masks):  # one pair of axes for all: one per mask takes five times as long
        left, top = wide * (number % columns), high * (number // columns)
        words = trains(mask)
        images.append({**IN_PLACE, "source": picture, "x": left, "y": top, "sizex": grid, "sizey": grid})
        middle = {"x": left + grid / 2, "showarrow": False}
        notes.append({**middle, "y": top, "yanchor": "bottom", "text": f"{mask.ratio:.2f}"})
        notes.append(
            {**middle, "y": top + grid, "yanchor": "top", "text": words, "font": {"color": COLOURS[words], "size": 12}}
        )
        traces.append(
            {
                "type": "heatmap",
                "x": left + np.arange(grid) + 0.5,
                "y": top + np.arange(grid) + 0.5,
                "z": mask.hidden.astype(int),
                "zmin": 0,
                "zmax": 1,
                "showscale": False,
                "name": f"group {number + 1}: ratio {mask.ratio:.3f}",
                "hovertemplate": "hidden %{z}<extra></extra>",
                "colorscale": [[0, "rgba(0,0,0,0)"], [1, palette.HIDDEN]],
            }
        )
    bare = {"visible": False, "constrain": "domain"}
    layout = {
        "template": style.template(),
        "images": images,
        "annotations": notes,
        "height": 80 + 200 * rows,
        "title": {"text": "Masks of a batch's groups, on one picture", "font": {"size": 16}},
        "margin": {"l": 10, "r": 10, "t": 50, "b": 10},
        "xaxis": {"range": [0, wide * columns - 0.06 * grid], **bare},
        "yaxis": {"range": [high * rows - 0.15 * grid, -0.22 * grid], "scaleanchor": "x", **bare},
    }
    return go.Figure(traces, layout)
