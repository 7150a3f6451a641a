"""Parameters section: a treemap and a table of all tensors, and the details of one tensor."""

import streamlit as st

from app.checkpoints.common import part_statistics
from app.figures import show_figure
from app.keys import CHECKPOINTS, action_key
from app.links import LINKED
from app.text import as_text
from workbench.checkpoints.files import Checkpoint, Part, TensorEntry
from workbench.checkpoints.statistics import TensorStatistics
from workbench.checkpoints.words import shape_words, size_words
from workbench.figures import checkpoint_tree, style
from workbench.figures import checkpoints as figures

TENSOR, FIND = CHECKPOINTS.input("tensor"), CHECKPOINTS.input("find")
SEEN = CHECKPOINTS.name("seen")
"""Session key of the last click on each figure, so that each click counts once."""


def show_tensors(found: Checkpoint) -> None:
    """Shows the chosen part as a treemap and a table, and the chosen tensor."""
    part = pick_part(found)
    measured = part_statistics(part)
    by_name = {one.name: one for one in measured or []}
    tree, detail = st.columns([3, 2], gap="medium")
    at = _take_click(CHECKPOINTS.name("tree", part.name))
    with tree:
        show_figure(
            checkpoint_tree.plot_tree(part, at),
            CHECKPOINTS.name("tree", part.name),
            on_select="rerun",
            selection_mode="points",
            name=f"{part.name}-tree",
            alt=f"Treemap of {len(part.entries)} tensors of {part.name}, {size_words(part.bytes)} together",
        )
    _show_table(part, by_name)
    with detail.container(border=True):
        _show_one(part, by_name)


def pick_part(found: Checkpoint) -> Part:
    """Shows a choice of the checkpoint's parts and returns the chosen one."""
    names, key = [part.name for part in found.parts], CHECKPOINTS.input("part")
    if len(names) == 1:
        return found.parts[0]
    if st.session_state.get(key, names[0]) not in names:
        del st.session_state[key]  # that of another checkpoint
    name = st.segmented_control(
        "Part",
        names,
        default=found.weights.name,
        format_func=as_text,
        key=key,
        bind=LINKED,
        required=True,
        help="A checkpoint may hold raw weights, averaged weights and the optimiser state.",
    )
    return found.part(str(name))


def _take_click(tree: str) -> str:
    """Id of the tree node that was clicked last, read before the tree is drawn.

    A new click on a tensor chooses it; a click on a layer or module filters the table.
    """
    event = st.session_state.get(action_key(tree))
    points, seen = event["selection"]["points"] if event else [], st.session_state.setdefault(SEEN, {})
    id = points[0].get("id") if points else None
    if id is None or seen.get(tree) == id:
        return seen.get(tree, "")
    seen[tree] = id
    kind, name = checkpoint_tree.clicked_name(id)
    if kind == "tensor":
        st.session_state[TENSOR] = name
    else:
        st.session_state[FIND] = name if kind == "layer" else ""
    return id


def _show_table(part: Part, measured: dict[str, TensorStatistics]) -> None:
    wanted = st.text_input(
        "Find",
        key=FIND,
        bind=LINKED,
        placeholder="attn, blocks.3, bias ...",
        help="Shows only tensors whose name contains this. Clicking a layer in the tree fills it in.",
    )
    shown = [entry for entry in part.entries if wanted.lower() in entry.name.lower()]
    shown.sort(key=lambda entry: not (entry.name in measured and measured[entry.name].nonfinite))  # these come first
    if not shown:
        st.info(f"No tensor name contains '{as_text(wanted)}'.")
        return
    event = st.dataframe(
        _columns(shown, measured),
        key=CHECKPOINTS.action("table", part.name),
        hide_index=True,
        height=330,
        on_select="rerun",
        selection_mode="single-row",
        column_config=_formats(),
        alt=f"Table of {len(shown)} tensors with shape, type, size and statistics",
    )
    rows, seen = event["selection"]["rows"], st.session_state.setdefault(SEEN, {})
    name = shown[rows[0]].name if rows and rows[0] < len(shown) else None
    if name is not None and seen.get("table") != name:
        st.session_state[TENSOR] = name
    seen["table"] = name
    st.caption(f"{len(shown):,} of {len(part.entries):,} tensors · click a heading to sort, a row for details")


def _columns(shown: list[TensorEntry], measured: dict[str, TensorStatistics]) -> dict[str, list]:
    columns: dict[str, list] = {
        "name": [entry.name for entry in shown],
        "shape": [shape_words(entry.shape) for entry in shown],
        "type": [entry.dtype for entry in shown],
        "size": [entry.bytes for entry in shown],
        "values": [entry.count for entry in shown],
    }
    if measured:
        rows = [measured.get(entry.name) for entry in shown]
        columns |= {
            "RMS": [row and row.rms for row in rows],
            "mean": [row and row.mean for row in rows],
            "largest": [row and row.largest for row in rows],
            "zeros": [row and 100 * row.zeros / max(1, row.count) for row in rows],
            "problems": [row and ", ".join(row.problems) for row in rows],
        }
    return columns


def _formats() -> dict:
    number, help = st.column_config.NumberColumn, "Over the finite values."
    return {
        "name": st.column_config.TextColumn(width=260, pinned=True),
        "size": number(format="bytes", help="Bytes in the file."),
        "values": number(format="localized"),
        "RMS": number(format="%.4g", help="Root of the mean square. " + help),
        "mean": number(format="%.3g", help=help),
        "largest": number(format="%.4g", help="Largest magnitude. " + help),
        "zeros": number("exact zeros", format="%.2f %%", help="Share of values that are exactly zero."),
        "problems": st.column_config.TextColumn(help="NaN, infinities, rows or columns of zeros, constants."),
    }


def _show_one(part: Part, measured: dict[str, TensorStatistics]) -> None:
    names = [entry.name for entry in part.entries]
    if st.session_state.get(TENSOR, names[0]) not in names:
        del st.session_state[TENSOR]  # that of another part
    largest = names.index(max(part.entries, key=lambda entry: entry.bytes).name)
    name = st.selectbox(
        "Tensor", names, largest, key=TENSOR, bind=LINKED, help="You can also click one in the tree or the table."
    )
    entry, one = part.entry(name), measured.get(name)
    assert entry is not None
    st.markdown(
        f"{shape_words(entry.shape)} · {as_text(entry.dtype)} · {entry.count:,} values · {size_words(entry.bytes)}"
    )
    if not entry.readable:
        st.info(f"Values of type '{as_text(entry.dtype)}' cannot be read; shape and size come from the header.")
        return
    if one is None:
        st.caption("Its values have not been read yet.")
        return
    cells = (("RMS", one.rms), ("mean", one.mean), ("lowest", one.low), ("highest", one.high))
    st.markdown(" · ".join(f"{label} **{value:.3g}**" for label, value in cells))
    st.markdown(_health(one))
    log = st.toggle("Logarithmic count", key=CHECKPOINTS.input("log"), bind=LINKED, help="Makes rare values visible.")
    show_figure(
        figures.plot_histogram(one, log),
        CHECKPOINTS.name("histogram"),
        name=name,
        alt=f"Histogram of {name}: RMS {style.number(one.rms)}, from {one.low:.3g} to {one.high:.3g}",
    )


def _health(one: TensorStatistics) -> str:
    zeros = f"{one.zeros:,} exact zeros" if one.zeros else "no exact zeros"
    if not one.problems:
        return f"✓ all finite, no dead rows or columns, {zeros}"
    return f"⚠ {', '.join(one.problems)} · {zeros}"
