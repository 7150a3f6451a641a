"""The checkpoint browser: tensors, layers, averaged weights, positions, and the distance to another checkpoint.

Headers are read immediately, values in pieces in the background. Values already read are kept, so stopping loses
nothing.
"""

import html
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ipywidgets
import pandas as pd
import torch

from dream.errors import RunError
from dream.pretrained import SHIPPED
from workbench.checkpoints.difference import Difference, compare_parts, distances_by_layer
from workbench.checkpoints.files import Checkpoint, Part, open_checkpoint
from workbench.checkpoints.statistics import TensorStatistics, measure_part
from workbench.checkpoints.words import size_words
from workbench.widgets.checkpoint_positions import PositionView
from workbench.widgets.checkpoint_views import LABEL, DistanceView, LayerView, TensorView, distance_table, tensor_table
from workbench.widgets.instrument import Instrument
from workbench.work import Work

T = TypeVar("T")

SMALL = 300_000_000
"""Size in bytes up to which the values of a part are read without a click; about ten seconds."""
TENSORS, LAYERS, AVERAGED, POSITIONS, DIFFERENCE = "Tensors", "Layers", "Averaged", "Positions", "Difference"
VIEWS = {
    TENSORS: "Tree and list of tensors, details of one",
    LAYERS: "Norms and magnitudes by layer",
    AVERAGED: "Averaged against raw weights",
    POSITIONS: "Position tables as pictures",
    DIFFERENCE: "Distance to another checkpoint",
}
"""Descriptions of the views, by name."""


class CheckpointBrowser(Instrument[pd.DataFrame]):
    """See `workbench.widgets.checkpoint_browser`.

    `result` is a frame of the chosen part, one row per tensor: name, layer, shape, dtype, values, bytes; once values
    are read, also norm (L2), rms, mean, min, max, zeros, nonfinite and problems. `averaged` and `compared` are the last
    distances between averaged and raw weights, and of `difference`; None before.

    `statistics` are the numbers behind the result, for figures. `controls`: view, part, read; for tensors find,
    tensor, log; for positions table, side, centred, component, position.
    """

    def __init__(self, path: str | Path, *, theme: str = "light") -> None:
        super().__init__()
        self.checkpoint = _opened(path)
        self.averaged: Difference | None = None
        self.compared: Difference | None = None
        self._measured: dict[str, dict[str, TensorStatistics]] = {part.name: {} for part in self.checkpoint.parts}
        self._asked = {part.name for part in self.checkpoint.parts if part.bytes <= SMALL}
        self._build(theme)
        self._connect()
        with self._lock:  # values that are read meanwhile are shown afterwards, not overwritten
            self._show_part()
            self._show_view()

    @property
    def part(self) -> Part:
        """The chosen part of the checkpoint."""
        return self.checkpoint.part(self.controls["part"].value)

    @property
    def statistics(self) -> list[TensorStatistics]:
        """Statistics of the chosen part's tensors measured so far, in their order."""
        measured = self._measured[self.part.name]
        return [measured[entry.name] for entry in self.part.entries if entry.name in measured]

    def difference(self, other: str | Path, *, part: str | None = None, other_part: str | None = None) -> pd.DataFrame:
        """Returns the distance of another checkpoint from this one, one row per layer; the view Difference plots it.

        Columns: name, values, relative (L2 norm of the change over that of this one), cosine, largest (change of one
        value), equal. Parts default to the weights of each. Raises InputError if `other` is not a checkpoint or shares
        no tensor name, RunError if the comparison was cancelled.
        """
        other_checkpoint = _opened(other)
        a = self.checkpoint.part(part) if part else self.checkpoint.weights
        b = other_checkpoint.part(other_part) if other_part else other_checkpoint.weights
        self.compared = None
        names = f"{_name(self.checkpoint)} ({a.name})", f"{_name(other_checkpoint)} ({b.name})"
        reading = _in_one_thread(partial(compare_parts, a, b))
        self.begin(reading, done=lambda difference: self._take_difference(difference, *names))
        self.wait()
        if self.compared is None:
            raise RunError("the comparison was cancelled")
        return distance_table(distances_by_layer(self.compared.weights))

    # parts

    def _build(self, theme: str) -> None:
        checkpoint = self.checkpoint
        why = (
            "A checkpoint of a training run has raw and averaged weights; this one has "
            + ("averaged weights only." if not checkpoint.raw else "one set of weights.")
            if checkpoint.averaged is None
            else "Not compared yet."
        )
        self._tensors = TensorView(theme, self._clicked)
        self._layers = LayerView(theme)
        self._averages = DistanceView(theme, why)
        self._positions = PositionView(theme)
        self._differences = DistanceView(theme, "Call difference(other) in a cell to compare with another checkpoint.")
        self._views: dict[str, ipywidgets.Widget] = {
            TENSORS: self._tensors,
            LAYERS: self._layers,
            AVERAGED: self._averages,
            POSITIONS: self._positions,
            DIFFERENCE: self._differences,
        }
        view = ipywidgets.ToggleButtons(
            options=list(VIEWS), tooltips=list(VIEWS.values()), style={"button_width": "96px"}
        )
        part = ipywidgets.Dropdown(
            options=[one.name for one in checkpoint.parts],
            value=checkpoint.weights.name,
            description="Part",
            style=LABEL,
            tooltip="A checkpoint may hold raw weights, averaged weights and the optimiser state.",
            layout={"width": "230px"},
        )
        read = ipywidgets.Button(
            description="Read values",
            tooltip="Reads the values in the background. You can cancel at any time.",
            layout={"width": "110px", "display": "none"},
        )
        tensors, positions = self._tensors, self._positions
        self.controls |= {
            "view": view,
            "part": part,
            "read": read,
            "find": tensors.find,
            "tensor": tensors.tensor,
            "log": tensors.logarithmic,
            "table": positions.table,
            "side": positions.side,
            "centred": positions.centred,
            "component": positions.component,
            "position": positions.position,
        }
        above = ipywidgets.HBox([view, part, read], layout={"flex_flow": "row wrap"})
        self._place = ipywidgets.VBox(layout={"width": "100%"})
        self.body.children = [ipywidgets.HTML(_head(checkpoint)), above, self._place]

    def _connect(self) -> None:
        self.react(self.controls["view"], lambda _: self._show_view())
        self.react(self.controls["part"], lambda _: self._show_part())
        self.press(self.controls["read"], self._read)
        for name, draw in (
            ("find", self._tensors.list_tensors),
            ("tensor", self._tensors.show_tensor),
            ("log", self._tensors.show_tensor),
            ("table", self._positions.take_table),
            ("side", self._positions.lay),
            ("centred", self._positions.measure_similarity),
            ("component", self._positions.draw_component),
            ("position", self._positions.draw_similarity),
        ):
            self.react(self.controls[name], partial(_without, draw))

    # what is shown

    def _show_part(self) -> None:
        self._show_values()
        if self.controls["view"].value == POSITIONS:
            self._positions.show(self.part, self.checkpoint.grid)
        self._go_on()

    def _show_view(self) -> None:
        view = self.controls["view"].value
        if view == POSITIONS:
            self._positions.show(self.part, self.checkpoint.grid)
        else:
            self._show_values()
        self._place.children = [self._views[view]]
        self._go_on()

    def _show_values(self) -> None:
        """Updates the result and the view of values."""
        part, measured = self.part, self._measured[self.part.name]
        self.result = tensor_table(part, measured)
        if self.controls["view"].value == LAYERS:
            self._layers.show(self.statistics)
        else:
            self._tensors.show(part, measured)

    def _clicked(self, kind: str, name: str) -> None:
        """Handles a click in the tree: a tensor is chosen; a layer or the part filters the list."""
        self.controls["find"].value = name if kind == "layer" else ""
        if kind == "tensor":
            self.controls["tensor"].value = name

    # reading

    def _read(self) -> None:
        self._asked.add(self.part.name)
        self._go_on()

    def _go_on(self) -> None:
        """Starts reading the values that the view needs, unless that is running already."""
        job = self._next()
        waits = self.part.name not in self._asked and bool(self._left(self.part).entries)
        self.controls["read"].layout.display = "flex" if waits else "none"
        if job is None or (self.running and job == getattr(self, "_job", None)):
            return
        self._job: tuple[str, str] | None = job
        if job[0] == AVERAGED:
            assert self.checkpoint.averaged is not None
            self.begin(
                partial(compare_parts, self.checkpoint.weights, self.checkpoint.averaged), done=self._take_averaged
            )
            return
        part = self.checkpoint.part(job[1])
        self.begin(
            _in_one_thread(partial(measure_part, self._left(part))),
            show=lambda some: self._take_values(part, some),
            done=lambda all: self._finish_values(part, all),
        )

    def _next(self) -> tuple[str, str] | None:
        if self.controls["view"].value == AVERAGED and self.checkpoint.averaged and self.averaged is None:
            return AVERAGED, ""
        part = self.part
        if part.name in self._asked and self._left(part).entries:
            return TENSORS, part.name
        return None

    def _left(self, part: Part) -> Part:
        """Returns the part with only those tensors that can be read and have not been."""
        known = self._measured[part.name]
        left = [entry for entry in part.entries if entry.readable and entry.name not in known]
        return replace(part, entries=tuple(left))

    def _take_values(self, part: Part, some: "tuple[TensorStatistics, ...] | list[TensorStatistics]") -> None:
        self._measured[part.name] |= {one.name: one for one in some}
        if part.name == self.part.name:
            self._show_values()

    def _finish_values(self, part: Part, every: list[TensorStatistics]) -> None:
        self._take_values(part, every)
        self._after()

    def _take_averaged(self, difference: Difference) -> None:
        self.averaged = difference
        averaged = self.checkpoint.averaged
        self._averages.show(difference, self.checkpoint.weights.name, averaged.name if averaged else "")
        self._after()

    def _take_difference(self, difference: Difference, a: str, b: str) -> None:
        self.compared = difference
        self._differences.show(difference, a, b)
        self.controls["view"].value = DIFFERENCE
        self._after()

    def _after(self) -> None:
        self._job = None
        self._go_on()


def _in_one_thread(read: Callable[[Work[T]], T]) -> Callable[[Work[T]], T]:
    """Wraps a reading function so that torch uses one thread.

    A second thread gains little on pieces of a file, and makes it ten times slower if another process is busy.
    """

    def run(work: Work[T]) -> T:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return read(work)
        finally:
            torch.set_num_threads(before)

    return run


def _without(draw: Callable[[], None], value: Any) -> None:
    draw()


def _opened(path: str | Path) -> Checkpoint:
    shipped = str(path) in SHIPPED and not Path(path).exists()
    return open_checkpoint(SHIPPED[str(path)] if shipped else Path(path))


def _name(checkpoint: Checkpoint) -> str:
    return checkpoint.path.name


def _head(checkpoint: Checkpoint) -> str:
    part, facts = checkpoint.weights, checkpoint.facts if checkpoint.paintable else {}
    words = [
        f"<b>{html.escape(checkpoint.path.name)}</b>",
        html.escape(checkpoint.kind),
        f"{part.count:,} values in {len(part.entries):,} tensors of '{html.escape(part.name)}'",
        f"{size_words(sum(one.bytes for one in checkpoint.parts))} in total",
        *(html.escape(f"{name} {value}") for name, value in facts.items()),
    ]
    return f'<p style="line-height:1.5">{" · ".join(words)}</p>'
