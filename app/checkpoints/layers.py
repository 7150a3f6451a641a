"""Layers section: norms, magnitudes, and dead or non-finite values by layer."""

import streamlit as st

from app.checkpoints.common import part_statistics
from app.checkpoints.tensors import pick_part
from app.figures import show_figure
from app.keys import CHECKPOINTS
from app.links import LINKED
from workbench.checkpoints.files import Checkpoint
from workbench.checkpoints.statistics import TensorStatistics, statistics_by_layer, total
from workbench.figures import checkpoints as figures

MOST_LAYERS = 120
"""Most layers in one figure; beyond this, a filter appears."""


def show_layers(found: Checkpoint) -> None:
    """Shows norms and magnitudes by layer, and a list of suspicious tensors."""
    part = pick_part(found)
    measured = part_statistics(part)
    if measured is None:
        return
    _show_health(measured)
    layers = statistics_by_layer(measured)
    if len(layers) > MOST_LAYERS:
        wanted = st.text_input(
            "Layers", key=CHECKPOINTS.input("layers"), bind=LINKED, help="Shows only layers whose name contains this."
        )
        layers = [layer for layer in layers if wanted.lower() in layer.name.lower()]
        st.caption(f"Showing {min(MOST_LAYERS, len(layers))} of {len(layers)} layers.")
        layers = layers[:MOST_LAYERS]
    left, right = st.columns(2, gap="medium")
    with left:
        show_figure(
            figures.plot_norms(layers),
            CHECKPOINTS.name("norms", part.name),
            alt=f"RMS, largest magnitude and mean of {len(layers)} layers, on a logarithmic axis",
        )
    with right:
        show_figure(
            figures.plot_magnitudes(layers),
            CHECKPOINTS.name("magnitudes", part.name),
            alt=f"Heat map: share of the values of {len(layers)} layers by magnitude",
        )


def _show_health(measured: list[TensorStatistics]) -> None:
    whole = total(measured)
    suspicious = [one for one in measured if one.problems]
    rows, columns = (sum(getattr(one, key) for one in measured) for key in ("zero_rows", "zero_columns"))
    cells = (
        ("Non-finite", f"{whole.nonfinite:,}", "NaN and infinities among the floating-point values."),
        ("Exact zeros", f"{whole.zeros / max(1, whole.count):.3%}", f"{whole.zeros:,} of {whole.count:,} values."),
        ("Zero rows", f"{rows:,}", "Rows of the first axis with only zeros: dead outputs."),
        ("Zero columns", f"{columns:,}", "Columns of the second axis with only zeros: unused inputs."),
        ("Constant tensors", f"{sum(one.constant for one in measured):,}", "Tensors whose values are all the same."),
        ("Overall RMS", f"{whole.rms:.3g}" if whole.rms == whole.rms else "-", "Over all floating-point values."),
    )
    with st.container(horizontal=True):
        for label, value, help in cells:
            st.metric(label, value, help=help, width=140)
    if not suspicious:
        st.caption("✓ Every value is finite, and no tensor is constant or has dead rows or columns.")
        return
    names = {"tensor": [one.name for one in suspicious], "problems": [", ".join(one.problems) for one in suspicious]}
    st.dataframe(
        names,
        hide_index=True,
        key=CHECKPOINTS.action("suspicious"),
        height=min(300, 38 + 35 * len(suspicious)),
        alt=f"{len(suspicious)} tensors with dead, constant or non-finite values",
    )
