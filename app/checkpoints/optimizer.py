"""Checkpoints, optimiser: steps, momentum and gradient size of every parameter."""

import streamlit as st

from app.checkpoints.common import part_statistics
from app.figures import show_figure
from workbench.checkpoints.files import Checkpoint
from workbench.checkpoints.optimizer import OptimizerMoments, moments, moments_by_layer
from workbench.checkpoints.words import size_words
from workbench.figures import checkpoints as figures


def show_optimizer(found: Checkpoint) -> None:
    """The optimiser's state by layer and by parameter."""
    part = found.optimizer
    if part is None:
        st.info("There is no optimiser state here: checkpoints of a run have one, exported models do not.")
        return
    measured = part_statistics(part)
    if measured is None:
        return
    rows = moments(measured)
    _show_cells(rows, size_words(part.bytes))
    show_figure(
        figures.plot_moments(moments_by_layer(rows)),
        "checkpoints.moments",
        alt=f"RMS of momentum and of recent gradients of {len(rows)} parameters, by layer",
    )
    st.dataframe(
        {
            "parameter": [row.parameter for row in rows],
            "rule": [row.rule for row in rows],
            "step": [row.step for row in rows],
            "values": [row.count for row in rows],
            "momentum": [row.momentum for row in rows],
            "gradient": [row.gradient for row in rows],
            "agreement": [row.agreement for row in rows],
            "not finite": [row.nonfinite for row in rows],
        },
        key="do.checkpoints.moments_table",
        hide_index=True,
        column_config=_formats(),
        alt=f"Optimiser state of {len(rows)} parameters",
    )


def _show_cells(rows: list[OptimizerMoments], size: str) -> None:
    steps = sorted({row.step for row in rows if row.step == row.step})
    span = "not kept" if not steps else f"{steps[0]:,.0f}" + (f" to {steps[-1]:,.0f}" if len(steps) > 1 else "")
    momentum_only = sum(row.gradient != row.gradient for row in rows)
    cells = (
        ("Optimiser steps", span, "Steps that the parameters have had, as the optimiser counts them."),
        ("Parameters", f"{len(rows):,}", "With a state of their own."),
        ("Two moments", f"{len(rows) - momentum_only:,}", "AdamW: means of gradients and of their squares."),
        ("Momentum only", f"{momentum_only:,}", "Muon or SGD: a running sum of gradients."),
        ("Not finite", f"{sum(row.nonfinite for row in rows):,}", "NaN and infinities among the moments."),
        ("Size", size, "Of all moments."),
    )
    for column, (label, value, help) in zip(st.columns(6), cells, strict=True):
        column.metric(label, value, help=help)


def _formats() -> dict:
    number = st.column_config.NumberColumn
    return {
        "parameter": st.column_config.TextColumn(width=260, pinned=True),
        "step": number(format="localized"),
        "values": number(format="localized"),
        "momentum": number("momentum RMS", format="%.3g", help="RMS of the running mean of the gradients."),
        "gradient": number("gradient RMS", format="%.3g", help="From the running mean of their squares."),
        "agreement": number(format="%.3f", help="Momentum / gradient: near 1 where recent gradients agree."),
    }
