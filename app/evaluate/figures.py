"""Figures of the Evaluate page, by the name of their view."""

from collections.abc import Callable, Sequence

import plotly.graph_objects as go
import streamlit as st

from app.figures import show_figure
from dream.evaluation.results import Results
from workbench.figures.by_ratio import COMBINATIONS, plot_edits, plot_losses_by_ratio, plot_retrieval_by_ratio
from workbench.figures.measured import ModelStyles
from workbench.figures.paper import plot_paper_beside
from workbench.figures.robustness import plot_robustness
from workbench.figures.selection import plot_selection, plot_selection_cost
from workbench.figures.side_by_side import plot_comparison

STRICT, COMBINATION = "in.evaluate.strict", "in.evaluate.combination"


def _side_by_side(results: Sequence[Results], look: ModelStyles) -> None:
    _figure(
        plot_comparison(results, look=look, columns=2),
        "models",
        "Main measures, one panel each, with a mark and 95 % interval per model.",
    )


def _selection(results: Sequence[Results], look: ModelStyles) -> None:
    strict = st.toggle(
        "Reject malformed shapes", key=STRICT, help="On: a ragged cross counts as wrong. Off: it counts as a cross."
    )
    _figure(
        plot_selection(results, strict, columns=2),
        "selection",
        "Gain, AUC and rank correlation of the choice by the share decoded, and the gain by K.",
    )
    _figure(
        plot_selection_cost(results, strict, columns=2),
        "selection-cost",
        "Accuracy, regret and cost of the choice by the share decoded, and the gain by cost.",
    )


def _edits(results: Sequence[Results], look: ModelStyles) -> None:
    st.session_state.setdefault(COMBINATION, "all")
    chosen = st.segmented_control(
        "Pictures",
        list(COMBINATIONS),
        key=COMBINATION,
        required=True,
        format_func=lambda name: f"{name} combinations",
        help="Pictures of combinations that occur in training, that never occur in training, or both.",
    )
    _figure(
        plot_edits(results, chosen or "all", look),
        "edits",
        "How often the true caption beats an edited one by mask ratio, one panel per kind of edit.",
    )


def _plain(plot: Callable[..., go.Figure], name: str, alt: str) -> Callable[..., None]:
    """Returns a view of one figure."""
    return lambda results, look: _figure(plot(results, look=look), name, alt)


def _figure(figure: go.Figure, name: str, alt: str) -> None:
    show_figure(figure, f"evaluate.{name}", alt=alt, name=name)


FIGURES: dict[str, Callable[[Sequence[Results], ModelStyles], None]] = {
    "Side by side": _side_by_side,
    "Selection": _selection,
    "Edits": _edits,
    "Losses": _plain(
        plot_losses_by_ratio, "losses", "Both losses and the alignments of unseen pictures by mask ratio."
    ),
    "Retrieval": _plain(plot_retrieval_by_ratio, "retrieval", "Recall at 1, 5 and 10 by mask ratio."),
    "Robustness": _plain(plot_robustness, "robustness", "Accuracy by kind of picture, one mark per model."),
    "Next to the paper": _plain(
        plot_paper_beside, "paper", "Our models and the paper's, each relative to its own DREAM."
    ),
}
