"""Measures over the share of hidden tokens, a line a model. It opens no file and no model."""

from collections.abc import Sequence

import plotly.graph_objects as go

from dream.data.grammar import EDIT_KINDS
from dream.evaluation.results import Results
from workbench.figures import style
from workbench.figures.measured import ModelStyles, Wanted, chance_of, current_measures
from workbench.figures.panels import Panel, Point, add_lines, panel_cell, panel_grid, point_of, titled

CURVES = (
    Wanted("Caption finds picture", "R@1 (share)", "retrieval", "text to image R@1"),
    Wanted("Picture finds caption", "R@1 (share)", "retrieval", "image to text R@1"),
    Wanted("Things swapped in the caption", "true caption wins (share)", "edits", "swapped", {"combination": "all"}),
    Wanted("Shape edited", "true caption wins (share)", "edits", "shape", {"combination": "all"}),
    Wanted("Zero-shot classes", "accuracy (share)", "zero_shot", "accuracy"),
    Wanted("Contrastive loss", "loss (nats)", "losses", "contrastive loss", better="lower"),
    Wanted("Generative loss", "loss (head's units)", "losses", "generative loss", better="lower"),
    Wanted("Alignment gap", "cosine, own less other captions", "losses", "alignment gap"),
)
"""What is shown over the mask ratio, of all tasks."""
RETRIEVAL = tuple(
    Wanted(f"{title}, R@{rank}", f"R@{rank} (share)", "retrieval", f"{way} R@{rank}")
    for title, way in (("Caption finds picture", "text to image"), ("Picture finds caption", "image to text"))
    for rank in (1, 5, 10)
)
LOSSES = (
    Wanted("Generative loss", "loss (head's units)", "losses", "generative loss", better="lower"),
    Wanted("Contrastive loss", "loss (nats)", "losses", "contrastive loss", better="lower"),
    Wanted("Alignment gap", "cosine, own less other captions", "losses", "alignment gap"),
    Wanted("Alignment with its caption", "cosine", "losses", "alignment with its own caption"),
    Wanted("Alignment with others", "cosine", "losses", "alignment with other captions", better="lower"),
)
RATIO = "mask ratio (share hidden)"
COMBINATIONS = {
    "all": "all pictures",
    "seen": "pictures of combinations that training shows",
    "unseen": "pictures of combinations that training never shows",
}
"""Which pictures an edit's accuracy is of."""


def mask_ratio_info(results: Sequence[Results], wanted: Sequence[Wanted] = CURVES) -> list[Panel]:
    """A panel for each measure that was taken at several mask ratios; `at` is the ratio."""
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
    title: str = "How much may be hidden",
    look: ModelStyles | None = None,
    *,
    wanted: Sequence[Wanted] = CURVES,
    tasks: str = "retrieval,edits",
    note: str = "bands: 95 % intervals",
) -> go.Figure:
    """A panel a measure, a line a model over the share of hidden tokens, with its 95 % interval as a band.

    `tasks` are those that an empty figure asks for.
    """
    panels = mask_ratio_info(results, wanted)
    if not panels:
        return style.empty(title, f"Nothing measured by mask ratio yet: <b>dream evaluate --tasks {tasks}</b>")
    columns = min(3, len(panels))
    figure = panel_grid([panel.title for panel in panels], columns, 330).update_annotations(font_size=14)
    look = look or ModelStyles.of(results)
    add_lines(figure, panels, look.colours, look.symbols)
    for i, panel in enumerate(panels):
        where = panel_cell(i, columns)
        figure.update_yaxes(title_text=panel.axis, **where)
        figure.update_xaxes(title_text=RATIO, tickformat=".2~f", **where)
    return titled(figure, title, note)


def plot_retrieval_by_ratio(results: Sequence[Results], look: ModelStyles | None = None) -> go.Figure:
    """Recall at 1, 5 and 10 both ways by mask ratio, with that of guessing."""
    note = "bands: 95 % intervals; dotted: guessing"
    figure = plot_by_mask_ratio(
        results, "Retrieval by mask ratio", look, wanted=RETRIEVAL, tasks="retrieval", note=note
    )
    return _with_chance(figure.update_yaxes(matches="y"), results, RETRIEVAL)


def plot_edits(results: Sequence[Results], combination: str = "all", look: ModelStyles | None = None) -> go.Figure:
    """How often a picture prefers its caption to an edited one, a panel a kind of edit, by mask ratio.

    `combination` is one of COMBINATIONS.
    """
    kinds = tuple(
        Wanted(
            f"{kind.capitalize()} edited" if kind != "swapped" else "Things swapped",
            "true caption wins (share)",
            "edits",
            kind,
            {"combination": combination},
        )
        for kind in EDIT_KINDS
    )
    note = f"{COMBINATIONS[combination]}; bands: 95 % intervals; dotted: guessing"
    figure = plot_by_mask_ratio(results, "Edited captions by mask ratio", look, wanted=kinds, tasks="edits", note=note)
    return _with_chance(figure.update_yaxes(matches="y"), results, kinds)


def plot_losses_by_ratio(results: Sequence[Results], look: ModelStyles | None = None) -> go.Figure:
    """Both losses and the alignments of unseen pictures by mask ratio."""
    note = "unseen pictures; bands: 95 % intervals; dotted: guessing among the pool's captions"
    figure = plot_by_mask_ratio(results, "Losses by mask ratio", look, wanted=LOSSES, tasks="losses", note=note)
    return _with_chance(figure, results, LOSSES)


def _with_chance(figure: go.Figure, results: Sequence[Results], wanted: Sequence[Wanted]) -> go.Figure:
    """The figure of these measures with a dotted line for guessing where that is known."""
    shown = {panel.title for panel in mask_ratio_info(results, wanted)}
    panels = [each for each in wanted if each.title in shown]
    for i, each in enumerate(panels):
        known = [
            chance_of(measure)
            for result in results
            for measure in current_measures(result)
            if each.fits(measure) and "mask_ratio" in measure.where
        ]
        if known and known[0] is not None:
            figure.add_hline(
                y=known[0],
                line={"color": style.PAPER, "width": 1.5, "dash": "dot"},
                **panel_cell(i, min(3, len(panels))),
            )
    return figure
