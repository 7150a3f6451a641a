"""Figures of the Evaluate page, by the name of their view."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import streamlit as st

from app.figures import show_panels
from app.keys import EVALUATE
from app.links import LINKED
from app.text import as_text
from dream.evaluation.results import Results
from workbench.figures.by_ratio import (
    COMBINATIONS,
    plot_edits,
    plot_losses_by_ratio,
    plot_mask_ratio,
    plot_retrieval_by_ratio,
)
from workbench.figures.front import plot_front
from workbench.figures.measured import ModelStyles
from workbench.figures.paper import plot_paper_beside
from workbench.figures.robustness import plot_robustness, robustness_info
from workbench.figures.selection import plot_selection, plot_selection_cost
from workbench.figures.side_by_side import plot_comparison

PANEL = 240
"""Height of a panel in pixels."""
MODEL, MOST_TOGETHER = EVALUATE.input("selection_of"), 2
"""Key of the model whose choices are drawn, and the most models drawn at once: each has eight panels."""
STRICT, COMBINATION = EVALUATE.input("strict"), EVALUATE.input("combination")
ROW_PIXELS = 30
"""Height of a model's row in a panel of models side by side."""


def _side_by_side(results: Sequence[Results], look: ModelStyles) -> None:
    _panels(
        plot_comparison(results, look=look, columns=2),
        "models",
        "Main measures, one panel each, with a mark and 95 % interval per model.",
        height=20 + ROW_PIXELS * len(results),
    )


def _one_model(results: Sequence[Results]) -> Sequence[Results]:
    """Shows a choice among the models with choices among candidates, if these are many; returns those to draw."""
    measured = [r for r in results if any(e.task == "selection" and e.measures for e in r.entries)]
    names = [result.name for result in measured]
    if len(names) <= MOST_TOGETHER:
        return results
    if st.session_state.get(MODEL, names[0]) not in names:
        del st.session_state[MODEL]  # no longer among them
    name = st.segmented_control(
        "Model",
        names,
        default=names[0],
        key=MODEL,
        bind=LINKED,
        required=True,
        format_func=as_text,
        help=f"With more than {MOST_TOGETHER} models, the figures show one of them.",
    )
    return [result for result in measured if result.name == (name or names[0])]


def _selection(results: Sequence[Results], look: ModelStyles) -> None:
    results = _one_model(results)
    strict = st.toggle(
        "Reject malformed shapes",
        key=STRICT,
        bind=LINKED,
        help="On: a ragged cross counts as wrong. Off: it counts as a cross.",
    )
    _panels(
        plot_selection(results, strict, columns=2),
        "selection",
        "Gain, AUC and rank correlation of the choice by the share decoded, and the gain by K.",
    )
    _panels(
        plot_selection_cost(results, strict, columns=2),
        "selection-cost",
        "Accuracy, regret and cost of the choice by the share decoded, and the gain by cost.",
    )


def _edits(results: Sequence[Results], look: ModelStyles) -> None:
    chosen = st.segmented_control(
        "Pictures",
        list(COMBINATIONS),
        default="all",
        key=COMBINATION,
        bind=LINKED,
        required=True,
        format_func=lambda name: f"{name} combinations",
        help="Pictures of combinations that occur in training, that never occur in training, or both.",
    )
    _panels(
        plot_edits(results, chosen or "all", look),
        "edits",
        "How often the true caption beats an edited one by mask ratio, one panel per kind of edit.",
    )


def _plain(plot: Callable[..., go.Figure], name: str, alt: str, height: int = PANEL) -> Callable[..., None]:
    """Returns a view of one figure."""
    return lambda results, look: _panels(plot(results, look=look), name, alt, height)


def _robustness(results: Sequence[Results], look: ModelStyles) -> None:
    rows = max((len(shifts.kinds) for shifts in robustness_info(results)), default=1)
    figure = plot_robustness(results, look=look)
    _panels(figure, "robustness", "Accuracy by kind of picture, one mark per model.", height=30 + 44 * rows)


def _panels(figure: go.Figure, name: str, alt: str, height: int = PANEL) -> None:
    show_panels(figure, f"evaluate.{name}", alt=alt, name=name, height=height)


FIGURES: dict[str, Callable[[Sequence[Results], ModelStyles], None]] = {
    "Mask ratio": _plain(plot_mask_ratio, "mask-ratio", "Retrieval in both directions and both losses by mask ratio."),
    "Selection": _selection,
    "Edits": _edits,
    "Fewer steps": lambda results, look: _panels(
        plot_front(results), "front", "Quality against the time of a picture, a line per number of decoding steps."
    ),
    "Robustness": _robustness,
    "Side by side": _side_by_side,
    "Next to the paper": _plain(
        plot_paper_beside, "paper", "Our models and the paper's, each relative to its own DREAM."
    ),
    "Retrieval": _plain(plot_retrieval_by_ratio, "retrieval", "Recall at 1, 5 and 10 by mask ratio."),
    "Losses": _plain(
        plot_losses_by_ratio, "losses", "Both losses and the alignments of unseen pictures by mask ratio."
    ),
}
