"""Treemap of a checkpoint: parts, modules, layers and tensors."""

import re
from typing import NamedTuple

import plotly.graph_objects as go

from workbench import palette
from workbench.checkpoints.files import Part, TensorEntry
from workbench.checkpoints.words import layer_of, shape_words, size_words
from workbench.figures import style

DEPTH = 3
"""Levels drawn at a time: part, modules and layers, then what was clicked; all tensors at once take a second."""
NAMED = 0.004
"""Least share of the part at which a tensor or layer has its name in it; in smaller rectangles it cannot be read."""
LEAF, LAYER, TOP = "tensor:", "layer:", "part:"
"""Prefixes of the ids of the tree's nodes."""


class Node(NamedTuple):
    """A rectangle of the treemap."""

    id: str
    label: str
    parent: str
    bytes: int
    hover: str


def plot_tree(part: Part, at: str = "") -> go.Figure:
    """Plots one rectangle per tensor, sized by its bytes, inside its layer; the id of a click names the tensor.

    `at` is the id of the node to zoom in on; for a tensor, its layer is shown.
    """
    if not part.bytes:
        return style.empty(f"Size of {part.name}", "This part has no values.")
    nodes = _nodes(part)
    parents = {node.id: node.parent for node in nodes}
    level = parents.get(at) if at.startswith(LEAF) else at if at in parents else None
    tops = list(dict.fromkeys(_top(entry.name) for entry in part.entries))
    colours = {top: palette.candidate_colour(i) for i, top in enumerate(tops)}
    labels = [style.figure_text(n.label) for n in nodes]
    shown = next((n.bytes for n in nodes if n.id == level), part.bytes)
    figure = go.Figure(
        go.Treemap(
            ids=[n.id for n in nodes],
            labels=labels,
            text=[
                "" if n.parent and n.bytes < NAMED * shown else label for n, label in zip(nodes, labels, strict=True)
            ],
            textinfo="text",
            parents=[n.parent for n in nodes],
            values=[n.bytes for n in nodes],
            customdata=[n.hover for n in nodes],
            branchvalues="total",
            level=level,
            maxdepth=DEPTH,
            tiling={"pad": 1},
            marker_pad={"t": 18, "l": 2, "r": 2, "b": 2},
            pathbar={"visible": True, "thickness": 22},
            marker={"colors": [_node_colour(n, colours) for n in nodes], "line": {"width": 1}},
            hovertemplate="<b>%{label}</b><br>%{customdata}<br>%{percentRoot:.1%} of the part<extra></extra>",
            textfont={"color": "white"},
        )
    )
    style.themed(figure)
    return figure.update_layout(height=560, margin={"l": 0, "r": 0, "t": 30, "b": 34})


def clicked_name(id: str) -> tuple[str, str]:
    """Returns what the id of a node refers to: (`tensor`, `layer` or `part`; name)."""
    kind, _, name = id.partition(":")
    return kind, name


def _nodes(part: Part) -> list[Node]:
    """Returns part, top modules, layers and tensors; levels with a single tensor are left out."""
    root = f"{TOP}{part.name}"
    nodes = [Node(root, part.name, "", part.bytes, f"{part.count:,} values, {size_words(part.bytes)}")]
    tops: dict[str, list[TensorEntry]] = {}
    for entry in part.entries:
        tops.setdefault(_top(entry.name), []).append(entry)
    for top, entries in tops.items():
        parent = _branch(nodes, f"{LAYER}{top}", top, root, entries)
        layers: dict[str, list[TensorEntry]] = {}
        for entry in entries:
            layers.setdefault(layer_of(entry.name), []).append(entry)
        for layer, inside in layers.items():
            above = parent
            if len(layers) > 1 and layer != top:
                above = _branch(nodes, f"{LAYER}{layer}", _rest(layer, top), parent, inside)
            for entry in inside:
                label = _rest(entry.name, layer if above != parent else top)
                nodes.append(Node(f"{LEAF}{entry.name}", label, above, entry.bytes, _hover(entry)))
    return nodes


def _branch(nodes: list[Node], id: str, label: str, parent: str, entries: list[TensorEntry]) -> str:
    """Returns the parent id of the entries: a new node, or the given parent for a single entry."""
    if len(entries) == 1:
        return parent
    size, count = sum(entry.bytes for entry in entries), sum(entry.count for entry in entries)
    nodes.append(Node(id, label, parent, size, f"{len(entries)} tensors, {count:,} values, {size_words(size)}"))
    return id


def _top(name: str) -> str:
    return re.split(r"[./]", name)[0]


def _rest(name: str, above: str) -> str:
    return name.removeprefix(above).lstrip("./") or name


def _hover(entry: TensorEntry) -> str:
    kind = f"{shape_words(entry.shape)} {entry.dtype}, {size_words(entry.bytes)}"
    return f"{style.figure_text(entry.name)}<br>{style.figure_text(kind)}"


def _node_colour(node: Node, colours: dict[str, str]) -> str:
    kind, name = clicked_name(node.id)
    return palette.NEUTRAL if kind == "part" else colours.get(_top(name), palette.NEUTRAL)
