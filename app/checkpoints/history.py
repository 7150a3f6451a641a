"""Checkpoints, training: how the losses and the logit scale stood."""

import streamlit as st

from app.figures import show_figure
from workbench.checkpoints.files import Checkpoint
from workbench.checkpoints.history import history, logit_scales
from workbench.figures import checkpoints as figures


def show_history(found: Checkpoint) -> None:
    """Losses over the training this checkpoint lies in, and the logit scale of its checkpoints."""
    scales = logit_scales(found)
    _show_cells(found, {scale.part: scale.factor for scale in scales})
    past = history(found)
    if past is None:
        st.info("A foreign file keeps no losses; checkpoints of a run and shipped models do.")
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_figure(
            figures.plot_history(past),
            "checkpoints.losses",
            alt=f"Losses over the training; this checkpoint is at step {past.step:,}",
        )
    with right:
        show_figure(
            figures.plot_scales(past),
            "checkpoints.scales",
            alt=f"Factor on the cosines in {len({scale.step for scale in past.scales})} checkpoints",
        )
        st.caption("A training logs no logit scale; it is read from every checkpoint that is left.")


def _show_cells(found: Checkpoint, factors: dict[str, float]) -> None:
    cells = [
        (f"Logit scale ({part})", f"{factor:.2f}", f"Factor on the cosines; temperature {1 / factor:.4f}.")
        for part, factor in factors.items()
        if factor
    ]
    cells += [
        (name.capitalize(), value, "From the checkpoint.")
        for name, value in found.facts.items()
        if name in ("step", "validation loss", "epoch")
    ]
    if not cells:
        st.caption("There is no logit scale in this checkpoint.")
        return
    for column, (label, value, help) in zip(st.columns(max(4, len(cells))), cells, strict=False):
        column.metric(label, value, help=help)
