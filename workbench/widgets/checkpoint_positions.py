"""View of position tables in the checkpoint browser: as colours, by component, and by similarity."""

from typing import Any

import ipywidgets
import numpy as np

from workbench.checkpoints import positions
from workbench.checkpoints.files import Part, TensorEntry
from workbench.checkpoints.reader import Reader
from workbench.checkpoints.words import shape_words
from workbench.figures import checkpoint_positions as figures
from workbench.figures import style
from workbench.widgets.checkpoint_views import LABEL, side_by_side
from workbench.widgets.figures import live, redraw
from workbench.widgets.fit import Fit

MOST_TILED = 20
"""Largest grid side for which all similarity maps are drawn at once."""
NONE = "No tensor in this part has the name of a position table."


class PositionView(ipywidgets.VBox):
    """Colours, one component, all similarity maps, and the map of one position; a click on a cell chooses it."""

    children: Any

    def __init__(self, theme: str) -> None:
        self._part: Part | None = None
        self._grid: int | None = None
        self._table: positions.Table | None = None
        self._scores = self._variance = self._cosines = np.zeros((0, 0))
        self.table = ipywidgets.Dropdown(
            description="Table", style=LABEL, tooltip="Tensors with names of position tables."
        )
        self.side = ipywidgets.BoundedIntText(
            description="Side",
            style=LABEL,
            layout={"width": "150px"},
            tooltip="The last side × side positions fill the grid; 0 puts all of them on a line (for texts).",
        )
        self.centred = ipywidgets.Checkbox(
            value=True,
            description="Centred",
            indent=False,
            layout={"width": "110px"},
            tooltip="Subtracts the mean of all positions before similarities are computed.",
        )
        self.component = ipywidgets.IntSlider(
            value=1,
            min=1,
            max=1,
            description="Component",
            style=LABEL,
            tooltip="Principal component of the positions, largest first.",
        )
        self.position = ipywidgets.IntSlider(
            value=0,
            min=0,
            max=0,
            description="Position",
            style=LABEL,
            tooltip="In raster order. You can also click a cell in a similarity map.",
        )
        self._remark = ipywidgets.HTML(f"<p>{NONE}</p>")
        rows = [
            ipywidgets.HBox(row, layout={"flex_flow": "row wrap"})
            for row in ([self.table, self.side, self.centred], [self.component, self.position])
        ]
        self._theme = theme
        super().__init__([Fit(), *rows, self._remark])

    def _add_figures(self) -> None:
        """Adds the figures when the view is first shown."""
        self.colours, self.drawn, self.tiles, self.similarity = (
            live(style.empty("", NONE), self._theme) for _ in range(4)
        )
        self._above = side_by_side(self.colours, self.drawn)
        self.children = [*self.children, self._above, side_by_side(self.tiles, self.similarity)]

    def show(self, part: Part, grid: int | None) -> None:
        """Shows the tables of a part; `grid` is the grid side of pictures, if the checkpoint stores it."""
        if part is self._part:
            return
        self._part, self._grid = part, grid
        tables = positions.position_tables(part)
        on_grids = [entry.name for entry in tables if positions.guess_side(entry, part, grid)]
        self.table.options = [(f"{e.name}  ({shape_words(e.shape)})", e.name) for e in tables]
        if tables:
            if not hasattr(self, "_above"):
                self._add_figures()
            self.table.value = (on_grids or [tables[0].name])[0]
            self.take_table()

    def take_table(self) -> None:
        """Reads the chosen table and guesses its grid."""
        entry = self._entry()
        if entry is not None and self._part is not None:
            self.side.max = int(positions.length(entry) ** 0.5)
            self.side.value = positions.guess_side(entry, self._part, self._grid)
            self.lay()

    def lay(self) -> None:
        """Puts the chosen table on a grid of the chosen side and draws all figures."""
        if (entry := self._entry()) is None:
            return
        with Reader() as reader:
            table = positions.on_grid(reader.whole(entry).numpy(), self.side.value)
        self._table = table
        self._scores, self._variance = positions.components(table)
        self._cosines = positions.similarities(table, self.centred.value)
        self.component.max = int(min(self._scores.shape[1], 64))
        self.position.max = len(self._cosines) - 1
        self.position.value = (table.rows // 2) * table.columns + table.columns // 2
        count = positions.length(entry)
        remark = f"<p>The first {table.before} of {count} positions (buffer tokens) are not on the grid.</p>"
        self._remark.value = remark if table.before else ""
        self._above.children[0].layout.display = "none" if table.rows == 1 else "flex"
        if table.rows > 1:
            colours = positions.as_colours(self._scores, table)
            redraw(self.colours, figures.plot_colours(colours, table, self._variance))
        self.draw_component()
        self.draw_tiles()
        self.draw_similarity()

    def measure_similarity(self) -> None:
        """Computes the cosines again and redraws them."""
        if self._table is not None:
            self._cosines = positions.similarities(self._table, self.centred.value)
            self.draw_tiles()
            self.draw_similarity()

    def draw_component(self) -> None:
        """Draws the chosen component."""
        if self._table is not None:
            number = self.component.value
            label = f"Component {number} · {self._variance[number - 1]:.1%} of the variance"
            redraw(self.drawn, figures.plot_component(self._scores[:, number - 1], self._table, label))

    def draw_tiles(self) -> None:
        """Draws the map of every position at its place; for a line, the cosines of all pairs."""
        table = self._table
        if table is None:
            return
        if table.rows == 1:
            redraw(self.tiles, figures.plot_pairs(self._cosines, "Cosine between positions"))
        elif table.rows > MOST_TILED:
            why = f"The overview of all maps is available up to a grid side of {MOST_TILED}."
            redraw(self.tiles, style.empty("All similarity maps", why))
        else:
            redraw(self.tiles, figures.plot_mosaic(positions.mosaic(self._cosines, table), table))
            self._clickable(self.tiles)

    def draw_similarity(self) -> None:
        """Draws the cosine of the chosen position to all others."""
        if self._table is not None and self.position.value < len(self._cosines):
            figure = figures.plot_similarity(self._cosines, self._table, self.position.value)
            redraw(self.similarity, figure)
            self._clickable(self.similarity)

    def _clickable(self, figure: object) -> None:
        figure.data[-1].on_click(self._click)  # type: ignore[attr-defined]

    def _click(self, trace: object, points: object, state: object) -> None:
        for place in points.point_inds[:1]:  # type: ignore[attr-defined]
            self.position.value = int(trace.customdata[place])  # type: ignore[attr-defined]

    def _entry(self) -> TensorEntry | None:
        return self._part.entry(self.table.value) if self._part and self.table.value else None
