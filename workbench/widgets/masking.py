"""The masking explorer: the Masking page as a notebook widget, with its result as data.

Numbers come from `workbench.masking.study`, figures from `workbench.figures`.
"""

import html
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as w
import plotly.graph_objects as go

from dream.config import MaskingConfig, ObjectiveConfig
from workbench.figures import masking as figures
from workbench.masking.drawn import DrawnRatios, near, read_drawn
from workbench.masking.form import Settings
from workbench.masking.picture import drawing, uploaded
from workbench.masking.settings import assignments, check_masking, command, preset_config, presets, python
from workbench.masking.study import DrawnMask, Moment, Schedule, at_moment, draw_masks, over_training
from workbench.pictures import exact_url
from workbench.widgets import words
from workbench.widgets.figures import live, redraw
from workbench.widgets.instrument import Instrument
from workbench.widgets.masking_controls import (
    OWN,
    GivenPicture,
    MaskingControls,
    comparison,
    moment_readings,
    picture_bytes,
    runs_to_lay_over,
)

MASKS = 8
"""Number of masks shown; with fewer groups, several batches are drawn."""
NO_RUN = "none"
HEAT, RIDGES = "Heat map", "Ridges"
HALF = {"flex": "1 1 340px", "min_width": "0", "overflow": "hidden"}
"""Layout of one of two figures side by side, or below each other on a narrow page."""


@dataclass(frozen=True)
class MaskingShown:
    """The settings and numbers that the explorer shows."""

    masking: MaskingConfig
    objective: ObjectiveConfig
    grid: int
    """Tokens per side."""
    schedule: Schedule
    """Density, location, true mean, shares and chances over the training."""
    moment: Moment
    """Closed form and draws at the moment of the slider."""
    masks: list[DrawnMask]
    """Masks of the first groups drawn at that moment."""
    assignments: list[str]
    """Differences from the preset of the model, as `--set` assignments."""
    command: str
    """The `dream train` command with these settings."""
    python: str
    """Python code for the same configuration."""


class MaskingExplorer(Instrument[MaskingShown]):
    """Controls for all masking settings, and their effects; `result` is a `MaskingShown`.

    `controls` has every control by name, `figures` the five figures: `density`, `moment`, `shares`, `chance` and
    `masks`. If training rejects a combination, a sentence says so and the last valid figures stay.
    """

    def __init__(
        self,
        masking: MaskingConfig | None = None,
        objective: ObjectiveConfig | None = None,
        *,
        grid: int = 5,
        run: str | Path | None = None,
        theme: str = "light",
    ) -> None:
        """Raises InputError for settings that training rejects, and for a run without logged ratios."""
        super().__init__()
        masking, objective = masking or MaskingConfig(), objective or ObjectiveConfig()
        check_masking(masking, objective)
        self._drawn: DrawnRatios | None = None
        self._picture: bytes | None = None
        self._words, self._number, self._draw = "", 0, 0
        self._settings = MaskingControls(objective)
        self._settings.set(masking, objective, grid)
        self._runs = runs_to_lay_over(run)
        self.controls = self._settings.all | self._own_controls()
        if run is not None:
            self.controls["run"].value = next(iter(self._runs))
            self._drawn = read_drawn(self._runs[self.controls["run"].value])
            self.controls["use"].disabled = False
        self.figures = self._first_figures(theme)
        self._readings, self._table, self._caption = w.HTML(), w.HTML(), w.HTML()
        self._command = w.HTML()
        self.body.children = [self._placed()]
        self._show_words()
        self._listen()

    def show_picture(self, picture: GivenPicture | None) -> None:
        """Shows the masks on your own picture: a file, a PIL image, or an array (H, W, 3) uint8.

        None returns to drawings. Raises InputError if it is not a picture.
        """
        with self._lock:
            before = self._picture, self._words
            self._picture, self._words = picture_bytes(picture) if picture is not None else (None, "")
            try:
                self._show_masks()
            except Exception:
                self._picture, self._words = before
                raise
            self._update_result()

    # parts

    def _own_controls(self) -> dict[str, w.Widget]:
        """Returns the controls that change what is shown, not the masking."""
        button = w.Layout(width="150px")
        return {
            "moment": w.IntSlider(
                30,
                0,
                100,
                description="Moment (% of the training)",
                layout=w.Layout(width="98%"),
                style={"description_width": "initial"},
                tooltip="Moves the numbers, the vertical lines, the histogram and the masks.",
            ),
            "view": w.ToggleButtons(
                options=[HEAT, RIDGES],
                description="Density as",
                tooltips=["Density as colour.", "Density as a row of curves."],
                style={"button_width": "90px", "description_width": "initial"},
            ),
            "run": w.Dropdown(
                options=[NO_RUN, *self._runs],
                description="Overlay the draws of a run",
                style={"description_width": "initial"},
                layout=w.Layout(width="330px"),
                tooltip="Dots in the density, markers in the shares, an outline in the histogram.",
            ),
            "use": w.Button(
                description="Use its settings",
                layout=button,
                disabled=True,
                tooltip="Sets the controls to the settings of the run.",
            ),
            "again": w.Button(
                description="Draw again", layout=button, tooltip="Draws new ratios and masks at the same moment."
            ),
            "drawing": w.Button(
                description="Another drawing", layout=button, tooltip="Shows another drawing under the same masks."
            ),
        }

    def _first_figures(self, theme: str) -> dict[str, go.FigureWidget]:
        settings = self._settings.read()
        self._take(settings)
        drawn = {**self._over_time(), "moment": self._moment_figure(), "masks": self._masks_figure()}
        return {name: live(figure, theme) for name, figure in drawn.items()}

    def _placed(self) -> w.Box:
        row = w.Layout(flex_flow="row wrap", align_items="center")
        pairs = [
            w.HBox(
                [w.VBox([self.figures[name]], layout=HALF) for name in pair],
                layout=w.Layout(flex_flow="row wrap", width="100%"),
            )
            for pair in (("moment", "shares"), ("chance", "masks"))
        ]
        right = w.VBox(
            [
                self._readings,
                self.controls["moment"],
                w.HBox([self.controls["view"], self.controls["run"], self.controls["use"]], layout=row),
                w.VBox([self.figures["density"]], layout=w.Layout(width="100%", overflow="hidden")),
                *pairs,
                w.HBox([self.controls["again"], self.controls["drawing"]], layout=row),
                self._caption,
                self._table,
                self._command,
            ],
            layout=w.Layout(flex="1 1 420px", min_width="0"),
        )
        return w.HBox([self._settings.box, right], layout=w.Layout(flex_flow="row wrap", width="100%"))

    def _listen(self) -> None:
        for name, control in self._settings.all.items():
            if name not in ("preset", "size"):
                self.react(control, lambda _: self._changed())
        self.react(self.controls["preset"], self._take_preset)
        self.react(self.controls["size"], lambda _: self._update_result())
        self.react(self.controls["moment"], lambda _: self._move())
        self.react(self.controls["view"], lambda _: redraw(self.figures["density"], self._density_figure()))
        self.react(self.controls["run"], self._take_run)
        self.press(self.controls["use"], self._use_run)
        self.press(self.controls["again"], lambda: self._other(draw=1))
        self.press(self.controls["drawing"], lambda: self._other(number=1))

    # what happens

    def _changed(self) -> None:
        """Redraws everything after a change of the masking."""
        if self._settings.quiet:
            return
        self._take(self._settings.read())
        for name, figure in self._over_time().items():
            redraw(self.figures[name], figure)
        redraw(self.figures["moment"], self._moment_figure())
        self._show_masks()
        self._show_words()

    def _take(self, settings: Settings) -> None:
        """Computes the numbers for these settings; if they are invalid, raises InputError and changes nothing."""
        check_masking(settings.masking, settings.objective)
        schedule = over_training(settings.masking, settings.objective, settings.num_tokens)
        self._moment = at_moment(self._progress, settings.masking, settings.objective, settings.num_tokens)
        self._schedule, self._current = schedule, settings
        self._settings.tidy(settings)

    def _move(self) -> None:
        """Shows another moment of the same masking; the curves over the training stay."""
        settings = self._current
        self._moment = at_moment(self._progress, settings.masking, settings.objective, settings.num_tokens)
        for name in ("density", "shares", "chance"):
            if name == "density" and self.controls["view"].value == RIDGES:
                redraw(self.figures[name], self._density_figure())
            else:  # the line of the moment is the last shape of these figures
                self.figures[name].layout.shapes[-1].update(x0=100 * self._progress, x1=100 * self._progress)
        redraw(self.figures["moment"], self._moment_figure())
        self._show_masks()
        self._show_words()
        self._check_again()

    def _other(self, draw: int = 0, number: int = 0) -> None:
        self._draw, self._number = self._draw + draw, self._number + number
        self._show_masks()
        self._update_result()
        self._check_again()

    def _check_again(self) -> None:
        """Keeps the error shown while the controls are invalid."""
        now = self._settings.read()
        check_masking(now.masking, now.objective)

    def _take_preset(self, name: str) -> None:
        if not self._settings.quiet and name != OWN:
            chosen = next(preset.masking for preset in presets() if preset.name == name)
            self._settings.set(chosen, self._current.objective)
            self._changed()

    def _take_run(self, name: str) -> None:
        self._drawn = read_drawn(self._runs[name]) if name != NO_RUN else None
        self.controls["use"].disabled = self._drawn is None
        self._changed()

    def _use_run(self) -> None:
        if self._drawn is not None:
            config = self._drawn.config
            self._settings.set(config.masking, config.objective, config.image.grid)
            self._changed()

    # what is shown

    @property
    def _progress(self) -> float:
        return float(self.controls["moment"].value / 100)

    def _over_time(self) -> dict[str, go.Figure]:
        return {
            "density": self._density_figure(),
            "shares": figures.plot_shares(self._schedule, self._progress, self._drawn),
            "chance": figures.plot_chance(self._schedule, self._progress),
        }

    def _density_figure(self) -> go.Figure:
        plot = figures.plot_density if self.controls["view"].value == HEAT else figures.plot_ridges
        return plot(self._schedule, self._progress, self._drawn)

    def _moment_figure(self) -> go.Figure:
        drawn, at = self._drawn, self._progress
        return figures.plot_moment(self._moment, near(drawn, at) if drawn else None, drawn.name if drawn else "")

    def _masks_figure(self) -> go.Figure:
        settings, grid = self._current, self._current.grid
        if self._picture is None:
            pixels, words = drawing(self._number, grid)
        else:
            pixels, words = uploaded(self._picture, grid, self._words), self._words
        self._masks = draw_masks(self._progress, settings.masking, settings.objective, grid, MASKS, self._draw)
        self._under = words
        return figures.plot_masks(self._masks, exact_url(pixels))

    def _show_masks(self) -> None:
        redraw(self.figures["masks"], self._masks_figure())

    def _show_words(self) -> None:
        self._readings.value = moment_readings(self._moment, self._current.masking.groups)
        self._table.value = comparison(self._moment, self._drawn)
        self._update_result()

    def _update_result(self) -> None:
        """Updates the result and the texts made from it."""
        settings, size = self._current, self.controls["size"].value
        changes = assignments(settings.masking, settings.objective, preset_config(size))
        self.result = shown = MaskingShown(
            settings.masking,
            settings.objective,
            settings.grid,
            self._schedule,
            self._moment,
            self._masks,
            changes,
            command(changes, size),
            python(settings.masking, settings.objective, size),
        )
        self._caption.value = (
            f"<small>“{html.escape(self._under)}”. Above each picture: the ratio drawn (share of tokens "
            "hidden). Below: the objective it trains.</small>"
        )
        self._command.value = words.text(shown.command, "Train with this")
