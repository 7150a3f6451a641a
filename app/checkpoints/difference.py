"""Averaged and Difference sections: distances between two sets of weights, by layer."""

import streamlit as st

from app.checkpoints.common import choices, computed_once, first_choice, location, opened_checkpoint, pick
from app.checkpoints.pictures import show_pictures
from app.figures import show_figure
from app.keys import CHECKPOINTS
from app.links import LINKED
from app.text import as_text
from dream.pretrained import SHIPPED
from workbench.checkpoints.difference import Difference, Distance, combined_distance, compare_parts, distances_by_layer
from workbench.checkpoints.files import Checkpoint, Part
from workbench.checkpoints.history import before
from workbench.figures import checkpoints as figures
from workbench.workspace import open_workspace

HELP = "Set of tensors to compare."
MOST_ROWS = 200
"""Most rows in one figure; those with the largest distance are drawn."""


def show_averaged(found: Checkpoint) -> None:
    """Shows the distance between averaged and raw weights, and pictures painted by both."""
    averaged = found.averaged
    if averaged is None:
        only = "averaged weights only" if not found.raw else "one set of weights"
        st.info(
            f"This {found.kind} has {only}. A checkpoint of a training run has raw and averaged weights: "
            "choose one above, or start a run on the Train page."
        )
        return
    result = _compared(found.weights, averaged)
    if result is not None:
        st.caption("A: raw weights · B: averaged weights")
        _show(result, "averaged")
    if found.paintable:
        show_pictures([("raw", str(found.path), False), ("averaged", str(found.path), True)])
    else:
        st.caption("Only checkpoints of this workbench can paint pictures.")


def show_difference(found: Checkpoint) -> None:
    """Shows the distance between this checkpoint and another one."""
    mine, left, right = st.columns([1, 3, 1])
    with left:
        other = opened_checkpoint(pick(CHECKPOINTS.input("other"), "B: other checkpoint", _other(found)))
    with mine:
        a = _pick_part(CHECKPOINTS.input("this_part"), "A: part of this one", found)
    with right:
        b = _pick_part(CHECKPOINTS.input("other_part"), "B: part of the other", other)
    if a == b:
        st.info("These are the same weights: choose another checkpoint, or another part of it.")
        return
    result = _compared(a, b)
    if result is not None:
        st.caption(as_text(f"A: {location(found)} ({a.name}) · B: {location(other)} ({b.name})"))
        _show(result, "difference")
        _show_leftovers(result)
    if found.paintable and other.paintable and found.path != other.path:
        show_pictures([("A", str(found.path), True), ("B", str(other.path), True)])


def _pick_part(key: str, label: str, found: Checkpoint) -> Part:
    names = [part.name for part in found.parts]
    if st.session_state.get(key, names[0]) not in names:
        del st.session_state[key]  # that of another checkpoint
    return found.part(
        st.selectbox(label, names, key=key, index=names.index(found.weights.name), bind=LINKED, help=HELP)
    )


def _compared(a: Part, b: Part) -> Difference | None:
    return computed_once(
        ("difference", a.stamp, b.stamp),
        lambda work: compare_parts(a, b, work),
        to_tree=Difference.to_dict,
        from_tree=Difference.from_dict,
        size=a.bytes + b.bytes,
        purpose="compare the two",
    )


def _show(result: Difference, key: str) -> None:
    if result.equal:
        st.success("The two are identical.")
        return
    _show_broken(result.weights)
    every = combined_distance("all", result.weights)
    cells = (
        ("Relative L2", f"{every.relative:.3%}", "L2 norm of the change over that of A, over all tensors."),
        ("Cosine", f"{every.cosine:.6f}", "Cosine between the two as one long vector; 1 = same direction."),
        ("Largest change", f"{every.largest:.3g}", "Largest change of a single value."),
        (
            "Compared",
            f"{len(result.weights):,} tensors",
            f"{every.count:,} values in tensors with the same name and shape.",
        ),
        ("Identical", f"{sum(d.equal for d in result.weights):,} tensors", "Tensors with the same values in both."),
    )
    with st.container(horizontal=True):
        for label, value, help in cells:
            st.metric(label, value, help=help, width=150)
    if result.counters:
        st.caption(f"{result.counters} integer tensors (counters) differ too; they are not included here.")
    rows_key = CHECKPOINTS.input(f"{key}_rows")
    by = st.segmented_control(
        "Rows",
        ["layers", "tensors"],
        default="layers",
        key=rows_key,
        bind=LINKED,
        required=True,
        help="A layer groups tensors by name up to the first number.",
    )
    by = by or "layers"
    rows = result.weights if by == "tensors" else distances_by_layer(result.weights)
    if equal := sum(row.equal for row in rows):
        st.caption(f"{equal:,} {by} are identical and not drawn.")
    rows = [row for row in rows if not row.equal]
    if len(rows) > MOST_ROWS:
        farthest = {row.name for row in sorted(rows, key=lambda row: -row.relative)[:MOST_ROWS]}
        st.caption(f"Showing the {MOST_ROWS} of {len(rows):,} {by} with the largest distance.")
        rows = [row for row in rows if row.name in farthest]
    show_figure(
        figures.plot_distances(rows),
        CHECKPOINTS.name(key),
        alt=f"Relative L2 distance and one minus cosine of {len(rows)} {by}",
    )


def _show_broken(rows: list[Distance]) -> None:
    broken = [row for row in rows if row.nonfinite]
    if broken:
        names = ", ".join(f"{row.name} ({row.nonfinite:,})" for row in broken[:6])
        st.error(as_text(f"Values that are NaN or infinite are left out: {names}{' ...' if broken[6:] else ''}."))


def _show_leftovers(result: Difference) -> None:
    if result.translated:
        st.caption("The authors' tensor names were translated to this project's before matching.")
    groups = (
        ("Added (only in B)", result.added),
        ("Missing (only in A)", result.missing),
        ("Different shape", result.reshaped),
        ("Not readable", result.unread),
    )
    for label, names in groups:
        if names:
            with st.expander(f"{label}: {len(names):,}", expanded=len(names) <= 12):
                st.code("\n".join(names), language="text", wrap_lines=True)
    if not any(names for _, names in groups):
        st.caption("✓ Both have the same tensors with the same shapes.")


def _other(found: Checkpoint) -> str:
    """Initial choice to compare with: the previous checkpoint of the run, otherwise another one."""
    here, earlier = open_workspace(), before(found.path)
    if earlier is not None:
        return here.shown(earlier)
    wanted = [first_choice(), *SHIPPED, *choices()]
    return next((text for text in wanted if text not in (here.shown(found.path), found.path.name)), wanted[0])
