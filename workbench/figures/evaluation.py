"""Figures of results, by what they show. Each takes results as they are read (`dream.evaluation.results`) and
returns a plotly Figure; the arithmetic is in `*_info`. None opens a file or a model.
"""

from workbench.figures.by_ratio import (
    COMBINATIONS,
    mask_ratio_info,
    plot_by_mask_ratio,
    plot_edits,
    plot_losses_by_ratio,
    plot_retrieval_by_ratio,
)
from workbench.figures.measured import ModelStyles
from workbench.figures.paper import paper_info, plot_paper_beside
from workbench.figures.robustness import plot_robustness, robustness_info
from workbench.figures.selection_cost import plot_selection_cost, selection_cost_info
from workbench.figures.selection_curves import plot_selection, selection_info
from workbench.figures.side_by_side import comparison_info, plot_comparison

__all__ = [
    "COMBINATIONS",
    "ModelStyles",
    "comparison_info",
    "mask_ratio_info",
    "paper_info",
    "plot_by_mask_ratio",
    "plot_comparison",
    "plot_edits",
    "plot_losses_by_ratio",
    "plot_paper_beside",
    "plot_retrieval_by_ratio",
    "plot_robustness",
    "plot_selection",
    "plot_selection_cost",
    "robustness_info",
    "selection_cost_info",
    "selection_info",
]
