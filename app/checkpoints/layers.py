"""Checkpoints, layers: norms, magnitudes, and what is dead or not finite."""

import streamlit as st

from app.checkpoints.common import part_statistics
from app.checkpoints.tensors import pick_part
from app.figures import show_figure
from workbench.checkpoints.files import Checkpoint
from workbench.checkpoints.statistics import TensorStatistics, statistics_by_layer, total
from workbench.figures import checkpoints as figures

MOST_LAYERS = 120
"""Layers in one figure; of more, those that are asked for."""


def show_layers(found: Checkpoint) -> None:
    """Norms and magnitudes by layer, and the list of what is suspicious."""
    part = pick_part(found)
    measured = part_statistics(part)
    if measured is None:
        return
    _show_health(measured)
    layers = statistics_by_layer(measured)
    if len(layers) > MOST_LAYERS:
        wanted = st.text_input(
            "Layers", key="in.checkpoints.layers", help="Shows only layers whose name contains this."
        )
        layers = [layer for layer in layers if wanted.lower() in layer.name.lower()]
        st.caption(f"{min(MOST_LAYERS, len(layers))} of {len(layers)} layers are drawn.")
        layers = layers[:MOST_LAYERS]
    left, right = st.columns(2, gap="medium")
    with left:
        show_figure(
            figures.plot_norms(layers),
            f"checkpoints.norms.{part.name}",
            alt=f"RMS, largest magnitude and mean of {len(layers)} layers, on a logarithmic axis",
        )
    with right:
        show_figure(
            figures.plot_magnitudes(layers),
            f"checkpoints.magnitudes.{part.name}",
            alt=f"Heat map: share of the values of {len(layers)} layers by magnitude",
        )


def _show_health(measured: list[TensorStatistics]) -> None:
    all = total(measured)
    suspicious = [one for one in measured if one.problems]
    rows, columns = (sum(getattr(one, key) for one in measured) for key in ("zero_rows", "zero_columns"))
    cells = (
        ("Not finite", f"{all.nonfinite:,}", "NaN and infinities among the floating-point values."),
        ("Exact zeros", f"{all.zeros / max(1, all.count):.3%}", f"{all.zeros:,} of {all.count:,} values."),
        ("Zero rows", f"{rows:,}", "Rows of the first axis that are zero throughout: dead outputs."),
        ("Zero columns", f"{columns:,}", "Places of the second axis that are zero throughout: unread inputs."),
        ("Constant tensors", f"{sum(one.constant for one in measured):,}", "All of several values the same."),
        ("RMS of all", f"{all.rms:.3g}" if all.rms == all.rms else "-", "Over all floating-point values."),
    )
    for column, (label, value, help) in zip(st.columns(6), cells, strict=True):
        column.metric(label, value, help=help)
    if not suspicious:
        st.caption("✓ Every value is finite, and no tensor is constant or has dead rows or columns.")
        return
    names = {"tensor": [one.name for one in suspicious], "noticed": [", ".join(one.problems) for one in suspicious]}
    st.dataframe(
        names,
        hide_index=True,
        key="do.checkpoints.suspicious",
        height=min(300, 38 + 35 * len(suspicious)),
        alt=f"{len(suspicious)} tensors with something dead, constant or not finite",
    )
