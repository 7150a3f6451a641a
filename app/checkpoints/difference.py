"""Checkpoints, distances: averaged beside raw weights, and the difference of two checkpoints, by layer."""

import streamlit as st

from app.checkpoints.common import by_work, choices, first_choice, named, opened_checkpoint, pick
from app.checkpoints.pictures import show_pictures
from app.figures import show_figure
from dream.pretrained import SHIPPED
from workbench.checkpoints.difference import Difference, Distance, combined_distance, compare_parts, distances_by_layer
from workbench.checkpoints.files import Checkpoint, Part
from workbench.checkpoints.history import before
from workbench.figures import checkpoints as figures
from workbench.workspace import open_workspace

MOST_ROWS = 200
"""Rows of one figure; the farthest are drawn."""


def show_averaged(found: Checkpoint) -> None:
    """Distance of the averaged from the raw weights, and pictures of both."""
    averaged = found.averaged
    if averaged is None:
        only = "averaged weights only" if not found.raw else "one set of weights"
        st.info(
            f"This {found.kind} has {only}. A checkpoint of a training run has raw and averaged ones: "
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
        st.caption("Pictures can be painted from checkpoints of this workbench only.")


def show_difference(found: Checkpoint) -> None:
    """How far another checkpoint is from this one."""
    mine, left, right = st.columns([1, 3, 1])
    with left:
        other = opened_checkpoint(pick("in.checkpoints.other", "B: compare with", _other(found)))
    with mine:
        a = _pick_part("in.checkpoints.this_part", "A: part of this", found)
    with right:
        b = _pick_part("in.checkpoints.other_part", "B: its part", other)
    if a == b:
        st.info("These are the same weights: choose another checkpoint, or another part of it.")
        return
    result = _compared(a, b)
    if result is not None:
        st.caption(f"A: {named(found)} ({a.name}) · B: {named(other)} ({b.name})")
        _show(result, "difference")
        _show_leftovers(result)
    if found.paintable and other.paintable and found.path != other.path:
        show_pictures([("A", str(found.path), True), ("B", str(other.path), True)])


def _pick_part(key: str, label: str, found: Checkpoint) -> Part:
    names = [part.name for part in found.parts]
    if st.session_state.get(key) not in names:
        st.session_state[key] = found.weights.name
    return found.part(st.selectbox(label, names, key=key, help="Which of its tensors are compared."))


def _compared(a: Part, b: Part) -> Difference | None:
    return by_work(
        ("difference", a.stamp, b.stamp),
        lambda work: compare_parts(a, b, work),
        keep=Difference.to_dict,
        take=Difference.from_dict,
        size=a.bytes + b.bytes,
        doing="compare the two",
    )


def _show(result: Difference, key: str) -> None:
    if result.equal:
        st.success("The two are equal in every value.")
        return
    every = combined_distance("all", result.weights)
    cells = (
        ("Relative L2", f"{every.relative:.3%}", "L2 norm of the change over that of A, over all tensors."),
        ("Cosine", f"{every.cosine:.6f}", "Between the two as one long vector; 1 = same direction."),
        ("Largest change", f"{every.largest:.3g}", "Of any one value."),
        ("Compared", f"{len(result.weights):,} tensors", f"{every.count:,} values, of one name and shape."),
        ("Equal", f"{sum(d.equal for d in result.weights):,} tensors", "In every value."),
    )
    for column, (label, value, help) in zip(st.columns(5), cells, strict=True):
        column.metric(label, value, help=help)
    if result.counters:
        st.caption(f"{result.counters} tensors of integers (counters) differ too; they are left out here.")
    rows_key = f"in.checkpoints.{key}_rows"
    st.session_state.setdefault(rows_key, "layers")
    by = st.segmented_control(
        "Rows",
        ["layers", "tensors"],
        key=rows_key,
        required=True,
        help="A layer is what stands before the first number of its tensors' names, and the number.",
    )
    rows = result.weights if by == "tensors" else distances_by_layer(result.weights)
    _show_left_out(rows, by or "layers")
    rows = [row for row in rows if not row.equal]
    if len(rows) > MOST_ROWS:
        farthest = {row.name for row in sorted(rows, key=lambda row: -row.relative)[:MOST_ROWS]}
        st.caption(f"The {MOST_ROWS} farthest of {len(rows):,} are drawn.")
        rows = [row for row in rows if row.name in farthest]
    show_figure(
        figures.plot_distances(rows),
        f"checkpoints.{key}",
        alt=f"Relative L2 distance and one minus cosine of {len(rows)} {by}",
    )


def _show_left_out(rows: list[Distance], by: str) -> None:
    equal, broken = sum(row.equal for row in rows), [row for row in rows if row.nonfinite]
    if equal:
        st.caption(f"{equal:,} {by} are equal in every value and not drawn.")
    if broken:
        names = ", ".join(f"{row.name} ({row.nonfinite:,})" for row in broken[:6])
        st.warning(f"Values that are not finite, left out of every sum: {names}{' ...' if broken[6:] else ''}.")


def _show_leftovers(result: Difference) -> None:
    if result.translated:
        st.caption("The authors' names were translated to ours before tensors were matched.")
    groups = (
        ("Added (only in B)", result.added),
        ("Missing (only in A)", result.missing),
        ("Reshaped", result.reshaped),
        ("Not readable", result.unread),
    )
    for label, names in groups:
        if names:
            with st.expander(f"{label}: {len(names):,}", expanded=len(names) <= 12):
                st.code("\n".join(names), language="text", wrap_lines=True)
    if not any(names for _, names in groups):
        st.caption("✓ Both have the same tensors in the same shapes.")


def _other(found: Checkpoint) -> str:
    """What is compared with at first: the checkpoint before this one, else another one."""
    here, earlier = open_workspace(), before(found.path)
    if earlier is not None:
        return here.shown(earlier)
    wanted = [first_choice(), *SHIPPED, *choices()]
    return next((text for text in wanted if text not in (here.shown(found.path), found.path.name)), wanted[0])
