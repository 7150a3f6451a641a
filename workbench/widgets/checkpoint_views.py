"""Views of the checkpoint browser (tensors with their tree, layers, distances) and its tables as data frames."""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ipywidgets
import pandas as pd

from workbench.checkpoints.difference import Difference, Distance, combined_distance, distances_by_layer
from workbench.checkpoints.files import Part, TensorEntry
from workbench.checkpoints.statistics import TensorStatistics, total
from workbench.checkpoints.statistics import statistics_by_layer as layers_of
from workbench.checkpoints.words import layer_of, shape_words, size_words
from workbench.figures import checkpoint_tree, style
from workbench.figures import checkpoints as figures
from workbench.widgets.figures import live, redraw
from workbench.widgets.fit import Fit

MOST_ROWS = 120
"""Most layers in one figure: the first ones, or those with the largest distance."""
HALF = {"flex": "1 1 330px", "min_width": "0", "overflow": "hidden"}
"""Layout of a column whose figures take the whole width."""
LABEL = {"description_width": "72px"}


def side_by_side(*widgets: ipywidgets.Widget) -> ipywidgets.HBox:
    """Places widgets side by side, or below each other on a narrow page."""
    boxes = [ipywidgets.VBox([widget], layout=HALF) for widget in widgets]
    return ipywidgets.HBox(boxes, layout={"flex_flow": "row wrap", "width": "100%"})


class TensorView(ipywidgets.VBox):
    """The tree, the list of tensors, and the details of one."""

    def __init__(self, theme: str, chosen: Callable[[str, str], None]) -> None:
        self._part: Part | None = None
        self._measured: Mapping[str, TensorStatistics] = {}
        self._chosen = chosen
        self.find = ipywidgets.Text(
            description="Find",
            placeholder="attn, blocks.3, bias ...",
            style=LABEL,
            tooltip="Shows only tensors whose name contains this.",
            layout={"width": "98%"},
        )
        self.tensor = ipywidgets.Select(
            description="Tensor",
            rows=9,
            style=LABEL,
            layout={"width": "98%"},
            tooltip="Tensor to show. You can also click one in the tree.",
        )
        self.logarithmic = ipywidgets.Checkbox(
            description="Logarithmic count", indent=False, tooltip="Makes rare values visible."
        )
        self._facts = ipywidgets.HTML()
        self.tree = live(style.empty("", ""), theme)
        self.histogram = live(style.empty("", ""), theme)
        close = ipywidgets.VBox([self.find, self.tensor, self._facts, self.logarithmic, self.histogram])
        close.layout = {"width": "100%", "min_width": "0", "overflow": "hidden"}
        super().__init__([Fit(), side_by_side(self.tree, close)])

    def show(self, part: Part, measured: Mapping[str, TensorStatistics]) -> None:
        """Shows another part, or more of its values."""
        new, self._part, self._measured = part is not self._part, part, measured
        if new:
            redraw(self.tree, checkpoint_tree.plot_tree(part))
            if self.tree.data:
                self.tree.data[0].on_click(self._click)
            self.list_tensors()
        self.show_tensor()

    def list_tensors(self) -> None:
        """Lists the tensors that match the filter; keeps the chosen one if it is listed, else chooses the largest."""
        entries, wanted = (self._part.entries if self._part else ()), self.find.value.strip().lower()
        shown = [entry for entry in entries if wanted in entry.name.lower()]
        kept = self.tensor.value
        self.tensor.options = [(_label(entry), entry.name) for entry in shown]
        if shown:
            names = [entry.name for entry in shown]
            largest = max(shown, key=lambda entry: entry.bytes).name
            self.tensor.value = kept if kept in names else largest

    def show_tensor(self) -> None:
        """Shows numbers and histogram of the chosen tensor."""
        entry = self._part.entry(self.tensor.value) if self._part and self.tensor.value else None
        one = self._measured.get(entry.name) if entry else None
        self._facts.value = _facts(entry, one)
        if entry is None:
            redraw(self.histogram, style.empty("", "No tensor name matches."))
        elif one is None:
            why = "The values have not been read yet." if entry.readable else "Values of this type cannot be read."
            redraw(self.histogram, style.empty(entry.name, why))
        else:
            redraw(self.histogram, figures.plot_histogram(one, self.logarithmic.value))

    def _click(self, trace: object, points: object, state: object) -> None:
        for place in points.point_inds[:1]:  # type: ignore[attr-defined]
            self._chosen(*checkpoint_tree.clicked_name(trace.ids[place]))  # type: ignore[attr-defined]


class LayerView(ipywidgets.VBox):
    """Norms and magnitudes by layer, and a list of suspicious tensors."""

    children: Any

    def __init__(self, theme: str) -> None:
        self._theme, self._health = theme, ipywidgets.HTML()
        super().__init__([Fit(), self._health])

    def show(self, measured: Sequence[TensorStatistics]) -> None:
        """Shows the tensors measured so far."""
        if len(self.children) == 2:  # figures are added when the view is first shown
            self.norms = live(figures.plot_norms([]), self._theme)
            self.magnitudes = live(figures.plot_magnitudes([]), self._theme)
            self.children = [*self.children, side_by_side(self.norms, self.magnitudes)]
        layers = layers_of(measured)
        self._health.value = _health(measured)
        redraw(self.norms, figures.plot_norms(layers[:MOST_ROWS]))
        redraw(self.magnitudes, figures.plot_magnitudes(layers[:MOST_ROWS]))


class DistanceView(ipywidgets.VBox):
    """Distance between two sets of weights, by layer."""

    children: Any

    def __init__(self, theme: str, why: str) -> None:
        self._theme, self._words = theme, ipywidgets.HTML(f"<p>{html.escape(why)}</p>")
        super().__init__([Fit(), self._words])

    def show(self, difference: Difference, a: str, b: str) -> None:
        """Shows the distance of B from A."""
        if len(self.children) == 2:
            self.distances = live(figures.plot_distances([]), self._theme)
            self.children = [*self.children, side_by_side(self.distances)]
        rows = [row for row in distances_by_layer(difference.weights) if not row.equal]
        farthest = {row.name for row in sorted(rows, key=lambda row: -row.relative)[:MOST_ROWS]}
        every = combined_distance("all", difference.weights)
        words = [f"A: {a} · B: {b}"]
        words += [
            "the two are identical"
            if difference.equal
            else f"relative L2 {every.relative:.3%}, cosine {every.cosine:.6f}, largest change {every.largest:.3g}, "
            f"{every.count:,} values"
        ]
        for count, what in (
            (len(difference.added), "only in B"),
            (len(difference.missing), "only in A"),
            (len(difference.reshaped), "with different shapes"),
            (len(rows) - len(farthest), "layers not drawn"),
        ):
            words += [f"{count} {what}"] if count else []
        self._words.value = f"<p>{html.escape(' · '.join(words))}</p>"
        redraw(self.distances, figures.plot_distances([row for row in rows if row.name in farthest]))


def _label(entry: TensorEntry) -> str:
    return f"{entry.name}   {shape_words(entry.shape)}"


def _facts(entry: TensorEntry | None, one: TensorStatistics | None) -> str:
    if entry is None:
        return ""
    words = (
        f"{shape_words(entry.shape)} · {html.escape(entry.dtype)} · {entry.count:,} values · {size_words(entry.bytes)}"
    )
    if one is not None:
        cells = (("RMS", one.rms), ("mean", one.mean), ("lowest", one.low), ("highest", one.high))
        words += "<br>" + " · ".join(f"{label} <b>{value:.3g}</b>" for label, value in cells)
        words += f" · {one.zeros:,} exact zeros"
        words += f"<br>problems: {html.escape(', '.join(one.problems))}" if one.problems else ""
    return f'<p style="line-height:1.5">{words}</p>'


def _health(measured: Sequence[TensorStatistics]) -> str:
    every, suspicious = total(measured), [one for one in measured if one.problems]
    words = f"{len(measured):,} tensors measured · {every.nonfinite:,} non-finite values"
    words += f" · {every.zeros:,} exact zeros"
    words += f" · overall RMS {every.rms:.3g}" if every.rms == every.rms else ""
    if not suspicious:
        return f"<p>{words} · no constant tensors, no dead rows or columns</p>"
    rows = "".join(
        f"<tr><td>{html.escape(one.name)}</td><td>{html.escape(', '.join(one.problems))}</td></tr>"
        for one in suspicious[:MOST_ROWS]
    )
    return (
        f"<p>{words}</p><details><summary>{len(suspicious)} tensors with dead, constant or non-finite values"
        f"</summary><table>{rows}</table></details>"
    )


def tensor_table(part: Part, measured: Mapping[str, TensorStatistics]) -> pd.DataFrame:
    """Returns one row per tensor: name, layer, shape, dtype, values, bytes.

    Once anything is measured, also norm (L2), rms, mean, min, max, zeros and nonfinite (counts), and problems (text);
    NaN for tensors not measured.
    """
    entries = part.entries
    columns: dict[str, list] = {
        "name": [entry.name for entry in entries],
        "layer": [layer_of(entry.name) for entry in entries],
        "shape": [entry.shape for entry in entries],
        "dtype": [entry.dtype for entry in entries],
        "values": [entry.count for entry in entries],
        "bytes": [entry.bytes for entry in entries],
    }
    if measured:
        rows = [_numbers(measured.get(entry.name)) for entry in entries]
        columns |= {name: [row[name] for row in rows] for name in rows[0]}
    return pd.DataFrame(columns)


def distance_table(distances: Iterable[Distance]) -> pd.DataFrame:
    """Returns one row per layer (or tensor).

    Columns: name, values, relative (L2 norm of the change over that of A), cosine, largest (change of one value),
    equal.
    """
    names = ("name", "count", "relative", "cosine", "largest", "equal")
    rows = [[getattr(distance, name) for name in names] for distance in distances]
    return pd.DataFrame(rows, columns=list(names)).rename(columns={"count": "values"})


def _numbers(one: TensorStatistics | None) -> dict[str, object]:
    """Returns the numbers of a tensor; None for each if it was not measured."""
    return {
        "norm": one and one.norm,
        "rms": one and one.rms,
        "mean": one and one.mean,
        "min": one and one.low,
        "max": one and one.high,
        "zeros": one and one.zeros,
        "nonfinite": one and one.nonfinite,
        "problems": ", ".join(one.problems) if one else "",
    }
