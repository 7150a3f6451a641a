"""Optimiser and Training sections: the optimiser state per parameter, and losses and logit scale of the run."""

import streamlit as st

from app.checkpoints.common import part_statistics
from app.figures import show_figure
from app.keys import CHECKPOINTS
from app.text import as_text
from workbench.checkpoints.files import Checkpoint
from workbench.checkpoints.history import history, logit_scales
from workbench.checkpoints.optimizer import OptimizerMoments, moments, moments_by_layer
from workbench.checkpoints.words import size_words
from workbench.figures import checkpoints as figures


def show_optimizer(found: Checkpoint) -> None:
    """Shows the optimiser state by layer and by parameter."""
    part = found.optimizer
    if part is None:
        st.info("No optimiser state: checkpoints of a run have one, exported models do not.")
        return
    measured = part_statistics(part)
    if measured is None:
        return
    rows = moments(measured)
    _show_optimizer_cells(rows, size_words(part.bytes))
    show_figure(
        figures.plot_moments(moments_by_layer(rows)),
        CHECKPOINTS.name("moments"),
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
            "non-finite": [row.nonfinite for row in rows],
        },
        key=CHECKPOINTS.action("moments_table"),
        hide_index=True,
        column_config=_formats(),
        alt=f"Optimiser state of {len(rows)} parameters",
    )


def show_history(found: Checkpoint) -> None:
    """Shows the losses of the run that this checkpoint belongs to, and the logit scale of its checkpoints."""
    scales = logit_scales(found)
    _show_training_cells(found, {scale.part: scale.factor for scale in scales})
    past = history(found)
    if past is None:
        st.info("A foreign file has no losses; checkpoints of a run and shipped models do.")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_figure(
            figures.plot_history(past),
            CHECKPOINTS.name("losses"),
            alt=f"Losses over the training; this checkpoint is at step {past.step:,}",
        )
    with right:
        show_figure(
            figures.plot_scales(past),
            CHECKPOINTS.name("scales"),
            alt=f"Factor on the cosines in {len({scale.step for scale in past.scales})} checkpoints",
        )
        st.caption("The logit scale is not logged; it is read from the checkpoints that the run still has.")


def _show_optimizer_cells(rows: list[OptimizerMoments], size: str) -> None:
    steps = sorted({row.step for row in rows if row.step == row.step})
    span = "not stored" if not steps else f"{steps[0]:,.0f}" + (f" to {steps[-1]:,.0f}" if len(steps) > 1 else "")
    momentum_only = sum(row.gradient != row.gradient for row in rows)
    cells = (
        ("Optimiser steps", span, "Steps taken per parameter, as counted by the optimiser."),
        ("Parameters", f"{len(rows):,}", "Parameters with optimiser state."),
        ("Two moments", f"{len(rows) - momentum_only:,}", "AdamW: running means of gradients and their squares."),
        ("Momentum only", f"{momentum_only:,}", "Muon or SGD: running sum of gradients."),
        ("Non-finite", f"{sum(row.nonfinite for row in rows):,}", "NaN and infinities among the moments."),
        ("Size", size, "Size of all moments."),
    )
    with st.container(horizontal=True):
        for label, value, help in cells:
            st.metric(label, value, help=help, width=140)


def _formats() -> dict:
    number = st.column_config.NumberColumn
    return {
        "parameter": st.column_config.TextColumn(width=260, pinned=True),
        "step": number(format="localized"),
        "values": number(format="localized"),
        "momentum": number("momentum RMS", format="%.3g", help="RMS of the running mean of gradients."),
        "gradient": number("gradient RMS", format="%.3g", help="From the running mean of squared gradients."),
        "agreement": number(format="%.3f", help="Momentum / gradient: near 1 where recent gradients agree."),
    }


def _show_training_cells(found: Checkpoint, factors: dict[str, float]) -> None:
    cells = [
        (
            f"Logit scale ({as_text(part)})",
            f"{factor:.2f}",
            f"Factor on the cosines; the temperature is {1 / factor:.4f}.",
        )
        for part, factor in factors.items()
        if factor
    ]
    cells += [
        (name.capitalize(), as_text(value), "Stored in the checkpoint.")
        for name, value in found.facts.items()
        if name in ("step", "validation loss", "epoch")
    ]
    if not cells:
        st.caption("This checkpoint has no logit scale.")
        return
    for column, (label, value, help) in zip(st.columns(max(4, len(cells))), cells, strict=False):
        column.metric(label, value, help=help)
