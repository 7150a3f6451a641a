"""Positions section: position tables as pictures and similarity maps."""

import numpy as np
import streamlit as st

from app.figures import show_figure
from app.keys import CHECKPOINTS, action_key
from app.links import LINKED
from app.number_fields import NumberFields
from workbench.checkpoints import positions
from workbench.checkpoints.files import Checkpoint, Part, TensorEntry
from workbench.checkpoints.reader import Reader
from workbench.checkpoints.words import shape_words
from workbench.figures import checkpoint_positions as figures

SIMILARITY, MOSAIC = CHECKPOINTS.name("similarity"), CHECKPOINTS.name("mosaic")
CENTRED = CHECKPOINTS.input("centred")
MOST_TILED = 20
"""Largest grid side for which all similarity maps are drawn at once."""
TABLE, SIDE, COMPONENT, POSITION = (CHECKPOINTS.input(name) for name in ("table", "side", "component", "position"))


def show_positions(found: Checkpoint) -> None:
    """Shows the chosen table as colours, by principal component, and by similarity."""
    part = found.weights
    tables = positions.position_tables(part)
    if not tables:
        st.info("No tensor has the name of a position table (positions, pos_embed, positional_embedding ...).")
        return
    entry, side = _pick(tables, part, found.grid)
    table = positions.on_grid(_values(str(entry.file), part.stamp, entry), side)
    scores, variance = _components(part.stamp, entry.name, side, table)
    cosines = _similarities(part.stamp, entry.name, side, st.session_state[CENTRED], table)
    if table.before:
        st.caption(
            f"The first {table.before} of {positions.length(entry)} positions (buffer tokens) are not on the grid."
        )
    if side == 0:
        _show_line(entry, table, scores, variance, cosines)
    else:
        _show_grid(entry, table, scores, variance, cosines)


def _pick(tables: list[TensorEntry], part: Part, grid: int | None) -> tuple[TensorEntry, int]:
    by_name = {entry.name: entry for entry in tables}
    names = list(by_name)
    if st.session_state.get(TABLE, names[0]) not in names:
        del st.session_state[TABLE]  # that of another checkpoint
    on_grids = [e.name for e in tables if positions.guess_side(e, part, grid)]
    left, right, last = st.columns([4, 1, 1], vertical_alignment="bottom")
    name = left.selectbox(
        "Table",
        names,
        names.index((on_grids or names)[0]),
        key=TABLE,
        bind=LINKED,
        help="Tensors with names of position tables.",
        format_func=lambda name: f"{name}  ({shape_words(by_name[name].shape)})",
    )
    entry = by_name[name]
    key = f"{SIDE}.{name}.{positions.length(entry)}"
    numbers = NumberFields()
    side = numbers.whole(
        right.container(),
        "Grid side",
        0,
        int(positions.length(entry) ** 0.5),
        key=key,
        value=positions.guess_side(entry, part, grid),
        bind=LINKED,
        help="The last side × side positions fill the grid; 0 puts all of them on a line (for texts).",
    )
    about = "Subtracts the mean of all positions before similarities are computed."
    last.toggle("Centred", True, key=CENTRED, bind=LINKED, help=about)
    numbers.require()
    return entry, side


def _show_grid(
    entry: TensorEntry, table: positions.Table, scores: np.ndarray, variance: np.ndarray, cosines: np.ndarray
) -> None:
    (colours, component), (similarity, tiles) = (
        st.columns(2, gap="medium", vertical_alignment="bottom") for _ in range(2)
    )
    with colours:
        show_figure(
            figures.plot_colours(positions.as_colours(scores, table), table, variance),
            CHECKPOINTS.name("colours"),
            alt=f"{entry.name}: first three principal components as red, green and blue over the grid",
        )
    with component:
        _show_component(entry, table, scores, variance)
    with tiles:
        if table.rows <= MOST_TILED:
            show_figure(
                figures.plot_mosaic(positions.mosaic(cosines, table), table),
                MOSAIC,
                on_select="rerun",
                selection_mode="points",
                alt=f"{entry.name}: similarity map of every position at its place; click one to enlarge it",
            )
        else:
            st.caption(f"The overview of all maps is available up to a grid side of {MOST_TILED}.")
    with similarity:
        _show_similarity(entry, table, cosines)


def _show_line(
    entry: TensorEntry, table: positions.Table, scores: np.ndarray, variance: np.ndarray, cosines: np.ndarray
) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        show_figure(
            figures.plot_pairs(cosines, "Cosine between positions"),
            CHECKPOINTS.name("pairs"),
            alt=f"{entry.name}: cosine between all pairs of positions",
        )
    with right:
        _show_component(entry, table, scores, variance)
        _show_similarity(entry, table, cosines)


@st.fragment
def _show_component(entry: TensorEntry, table: positions.Table, scores: np.ndarray, variance: np.ndarray) -> None:
    count = int(min(scores.shape[1], 64))
    if not 1 <= st.session_state.get(COMPONENT, 1) <= count:
        del st.session_state[COMPONENT]  # that of a larger table
    chosen = (
        st.slider(
            "Component",
            1,
            count,
            key=COMPONENT,
            bind=LINKED,
            help="Principal component of the positions, largest first.",
        )
        if count > 1
        else 1
    )
    label = f"Component {chosen} · {variance[chosen - 1]:.1%} of the variance"
    show_figure(
        figures.plot_component(scores[:, chosen - 1], table, label),
        CHECKPOINTS.name("component"),
        alt=f"{entry.name}: principal component {chosen} over the positions",
    )


@st.fragment
def _show_similarity(entry: TensorEntry, table: positions.Table, cosines: np.ndarray) -> None:
    _take_clicks()
    last = len(cosines) - 1
    if not 0 <= st.session_state.get(POSITION, 0) <= last:
        del st.session_state[POSITION]  # that of a larger table
    middle = (table.rows // 2) * table.columns + table.columns // 2
    about = "In raster order. You can also click a cell in a similarity map."
    position = st.slider("Position", 0, last, min(middle, last), key=POSITION, bind=LINKED, help=about)
    show_figure(
        figures.plot_similarity(cosines, table, position),
        SIMILARITY,
        on_select="rerun",
        selection_mode="points",
        alt=f"{entry.name}: cosine of position {position} to all others",
    )


def _take_clicks() -> None:
    """Chooses the position of a newly clicked cell; must be called before the slider is drawn."""
    seen = st.session_state.setdefault(CHECKPOINTS.name("seen"), {})
    for figure in (SIMILARITY, MOSAIC):
        event = st.session_state.get(action_key(figure))
        points = event["selection"]["points"] if event else []
        data = points[0].get("customdata") if points else None
        clicked = data[0] if isinstance(data, list) else data
        if clicked is not None and seen.get(figure) != clicked:
            st.session_state[POSITION] = int(clicked)
        seen[figure] = clicked


@st.cache_data(max_entries=16, show_spinner=False)
def _values(file: str, stamp: str, _entry: TensorEntry) -> np.ndarray:
    with Reader() as reader:
        return reader.whole(_entry).numpy()


@st.cache_data(max_entries=16, show_spinner=False)
def _components(stamp: str, name: str, side: int, _table: positions.Table) -> tuple[np.ndarray, np.ndarray]:
    return positions.components(_table)


@st.cache_data(max_entries=16, show_spinner=False)
def _similarities(stamp: str, name: str, side: int, centred: bool, _table: positions.Table) -> np.ndarray:
    return positions.similarities(_table, centred)
