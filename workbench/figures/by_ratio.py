"""Measures by mask ratio, one line per model."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dream.data.drawn.grammar import EDIT_KINDS
from dream.evaluation.results import Results
from workbench import palette
from workbench.figures import style
from workbench.figures.measured import (
    ModelStyles,
    Wanted,
    chance_of,
    current_measures,
    end_names,
    fit_at_ends,
    span_of,
    with_room,
)
from workbench.figures.panels import Panel, Point, axes, composed, lines, panel_grid, point_of, titled
from workbench.figures.style import level

CURVES = (
    Wanted("Caption to picture", "R@1 (share)", "retrieval", "text to image R@1"),
    Wanted("Picture to caption", "R@1 (share)", "retrieval", "image to text R@1"),
    Wanted("Objects swapped", "true caption preferred (share)", "edits", "swapped", {"combination": "all"}),
    Wanted("Shape edited", "true caption preferred (share)", "edits", "shape", {"combination": "all"}),
    Wanted("Other style", "true caption preferred (share)", "edits", "other style"),
    Wanted("Neighbouring thing", "true caption preferred (share)", "edits", "neighbouring thing"),
    Wanted("Zero-shot classification", "accuracy (share)", "zero_shot", "accuracy"),
    Wanted("Contrastive loss", "loss (nats)", "losses", "contrastive loss", better="lower"),
    Wanted("Generative loss", "loss (head's units)", "losses", "generative loss", better="lower"),
    Wanted("Alignment gap", "cosine, own minus other captions", "losses", "alignment gap"),
)
"""Measures shown by mask ratio, across all tasks."""
FIRST = (*CURVES[:2], *CURVES[7:9])
"""Measures of the first figure of results."""
RETRIEVAL = tuple(
    Wanted(f"{title}, R@{rank}", f"R@{rank} (share)", "retrieval", f"{way} R@{rank}")
    for title, way in (("Caption to picture", "text to image"), ("Picture to caption", "image to text"))
    for rank in (1, 5, 10)
)
LOSSES = (
    Wanted("Generative loss", "loss (head's units)", "losses", "generative loss", better="lower"),
    Wanted("Contrastive loss", "loss (nats)", "losses", "contrastive loss", better="lower"),
    Wanted("Alignment gap", "cosine, own minus other captions", "losses", "alignment gap"),
    Wanted("Alignment with own caption", "cosine", "losses", "alignment with its own caption"),
    Wanted("Alignment with other captions", "cosine", "losses", "alignment with other captions", better="lower"),
)
CHANCE = {"color": palette.NEUTRAL, "width": 1.5, "dash": "dot"}
"""Line of the value by chance."""
TICKS = (0, 0.25, 0.5, 0.75, 1)
RATIO = "mask ratio (share of tokens hidden)"
COMBINATIONS = {
    "all": "all pictures",
    "seen": "combinations seen in training",
    "unseen": "combinations never seen in training",
}
"""Pictures that the accuracy of an edit is measured on."""


def mask_ratio_info(results: Sequence[Results], wanted: Sequence[Wanted] = CURVES) -> list[Panel]:
    """Returns a panel per measure taken at several mask ratios; `at` is the ratio."""
    panels = []
    for each in wanted:
        points = []
        for result in results:
            curve: dict[float, Point] = {}
            for measure in current_measures(result):
                ratio = measure.where.get("mask_ratio")
                if each.fits(measure) and isinstance(ratio, (int, float)):
                    curve.setdefault(float(ratio), point_of(result.name, measure, float(ratio)))
            points += [curve[ratio] for ratio in sorted(curve)] if len(curve) > 1 else []
        if points:
            panels.append(Panel(each.title, each.axis, points))
    return panels


def plot_by_mask_ratio(
    results: Sequence[Results],
    title: str = "Measures by mask ratio",
    look: ModelStyles | None = None,
    *,
    wanted: Sequence[Wanted] = CURVES,
    tasks: str = "retrieval,edits",
    note: str = "bands: 95 % intervals",
    alike: bool = False,
    columns: int = 3,
) -> go.Figure:
    """Plots one panel per measure and one line per model by mask ratio, with 95 % intervals as bands and chance dotted.

    Few models have their names at their lines. `tasks` are the tasks that an empty figure asks the reader to run;
    with `alike` all panels have the same y axis.
    """
    panels = mask_ratio_info(results, wanted)
    if not panels:
        return style.empty(title, f"Nothing measured by mask ratio yet. Run <b>dream evaluate --tasks {tasks}</b>.")
    look = look or ModelStyles.of(results)
    names = list(dict.fromkeys(point.name for panel in panels for point in panel.points))
    chances = [_chance(results, next(each for each in wanted if each.title == panel.title)) for panel in panels]
    ends = [[] if chance is None else [chance] for chance in chances]
    spans = [span_of(panel.points, end) for panel, end in zip(panels, ends, strict=True)]
    if alike:
        spans = [[min(span[0] for span in spans), max(span[1] for span in spans)]] * len(spans)
    ratios = [point.at for panel in panels for point in panel.points]
    across, at_lines = span_of([], ratios), fit_at_ends(names)
    if at_lines:
        across = with_room(across, names)
    lines_of_models = lines(panels, look.colours, look.symbols)
    figure = composed(
        panel_grid([panel.title for panel in panels], min(columns, len(panels)), 330),
        lines_of_models,
        [{"title": {"text": RATIO}, "tickformat": ".2~f", "range": across, "tickvals": TICKS}] * len(panels),
        [{"title": {"text": panel.axis}, "range": span} for panel, span in zip(panels, spans, strict=True)],
        [level(chance, CHANCE, *axes(i)) for i, chance in enumerate(chances) if chance is not None],
        [
            name
            for i, (panel, span) in enumerate(zip(panels, spans, strict=True))
            for name in (end_names(i, panel, look.colours, span) if at_lines else [])
        ],
    )
    figure.update_layout(showlegend=len(names) > 1 and not at_lines)
    whose = f"{style.figure_text(names[0])}; " if len(names) == 1 else ""
    dotted = "; dotted: chance" if any(ends) else ""
    return titled(figure, title, f"{whose}{note}{dotted}")


def plot_mask_ratio(results: Sequence[Results], look: ModelStyles | None = None) -> go.Figure:
    """Plots what models do as more of a picture is hidden: retrieval in both directions, and both losses."""
    title = "Retrieval and losses by mask ratio"
    return plot_by_mask_ratio(results, title, look, wanted=FIRST, tasks="retrieval,losses", columns=2)


def plot_retrieval_by_ratio(results: Sequence[Results], look: ModelStyles | None = None) -> go.Figure:
    """Plots recall at 1, 5 and 10 in both directions by mask ratio, with chance."""
    title = "Retrieval by mask ratio"
    return plot_by_mask_ratio(results, title, look, wanted=RETRIEVAL, tasks="retrieval", alike=True)


def plot_edits(results: Sequence[Results], combination: str = "all", look: ModelStyles | None = None) -> go.Figure:
    """Plots how often a picture prefers its caption to an edited one by mask ratio, one panel per kind of edit.

    `combination` is one of COMBINATIONS.
    """
    kinds = tuple(
        Wanted(
            f"{kind.capitalize()} edited" if kind != "swapped" else "Objects swapped",
            "true caption preferred (share)",
            "edits",
            kind,
            {"combination": combination},
        )
        for kind in EDIT_KINDS
    )
    note = f"{COMBINATIONS[combination]}; bands: 95 % intervals"
    title = "Edited captions by mask ratio"
    return plot_by_mask_ratio(results, title, look, wanted=kinds, tasks="edits", note=note, alike=True)


def plot_losses_by_ratio(results: Sequence[Results], look: ModelStyles | None = None) -> go.Figure:
    """Plots both losses and the alignments of unseen pictures by mask ratio."""
    note = "unseen pictures; bands: 95 % intervals"
    return plot_by_mask_ratio(results, "Losses by mask ratio", look, wanted=LOSSES, tasks="losses", note=note)


def _chance(results: Sequence[Results], wanted: Wanted) -> float | None:
    """Returns the value of a measure by chance, where it is known."""
    known = (
        chance_of(measure)
        for result in results
        for measure in current_measures(result)
        if wanted.fits(measure) and "mask_ratio" in measure.where
    )
    return next(known, None)
