"""Semantically Aligned Decoding in a notebook: candidates side by side, the choice, and its value at each step.

Painting and finishing run in the background. `workbench.trajectories.worth` has the arithmetic, `workbench.figures`
the figures.
"""

import html
import time
from typing import Any, NamedTuple, Self

import ipywidgets
import pandas as pd

from dream.config import DreamConfig
from dream.decoding.selection import DEFAULT_SELECT_AT, SelectPoint
from dream.decoding.settings import DecodeSettings
from dream.errors import InputError
from dream.model.pretrained import Pretrained
from dream.pretrained import open_prompt_reader
from workbench.figures.trajectories import plot_race, plot_worth
from workbench.opening import config_of, name_of, open_model, place_of, set_threads
from workbench.player.widget import DecodePlayer
from workbench.reading import reading_html
from workbench.store import StoredDecode
from workbench.trajectories.finished import Finished, Opinion
from workbench.trajectories.kept import open_finished, open_finished_race, what_if
from workbench.trajectories.race import (
    MOST_CANDIDATES,
    Race,
    asked,
    open_race,
    paint_race,
    place_name,
    race_data,
    race_settings_of,
    refusal,
)
from workbench.trajectories.shown import all_finished, as_it_went, candidates_title, explained, made_at, verdict
from workbench.trajectories.worth import COLUMNS, Worth, worth_by_step, worth_table
from workbench.widgets.figures import live, redraw
from workbench.widgets.instrument import Instrument
from workbench.work import Work
from workbench.workspace import Workspace, open_workspace

BYTES_PER_SECOND = 4_000_000
"""Bytes of pictures sent per second while a race is painted; larger pictures are updated less often."""
WIDE = {"width": "98%"}


class RaceResult(NamedTuple):
    """A painted and stored race."""

    stored: StoredDecode
    race: Race
    final: Opinion | None
    """Verdict of the judge on the chosen candidate."""


class FinishedRace(NamedTuple):
    """A race with all candidates finished."""

    finished: Finished
    full: Race
    """The race with every candidate to its end."""
    rows: dict[bool, list[Worth]]
    """Value of choosing at each step, by whether malformed pictures count as wrong."""


class TrajectoryRace(Instrument[Race]):
    """K candidates of a prompt; `result` is the `Race` so far.

    `controls`: those of the form (`prompt`, `candidates`, `selection`, `select_at`, `steps`, `guidance_scale`, `seed`),
    the buttons `paint` (with the values of the form) and `finish`, and once all candidates are finished `played`
    (`all` or `as it went`) and `strict` (malformed pictures count as wrong). `reading` is the prompt as the model reads
    it, `stored` the stored race, `worth` and `seen` tell the value of choosing; `player`, `lines` and `curves` are the
    player and the figures.
    """

    def __init__(
        self,
        model: Pretrained | str,
        prompt: str,
        *,
        candidates: int = 8,
        selection: str = "once",
        select_at: str | None = None,
        workspace: Workspace | None = None,
        theme: str = "light",
        settings: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.workspace = workspace or open_workspace()
        self._name, self._pretrained, config = self._named(model)
        if reason := refusal(config):
            raise InputError(f"this model cannot choose among candidates: {reason}")
        whole = {"candidates": candidates, "selection": selection, **(settings or {})}
        self._form = RaceForm(config, prompt, select_at or DEFAULT_SELECT_AT, whole)
        self.stored: StoredDecode | None = None
        self.seen = ""
        self._painted: RaceResult | None = None
        self._all: FinishedRace | None = None
        self.player = DecodePlayer(events=["step", "candidate"])
        self.lines, self.curves = live(plot_race(None), theme, 400), live(plot_worth(None, []), theme)
        self._moment, self._sentence, self._read = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.controls = {**self._form.controls, **_buttons()}
        self._lay_out()
        self.react(self.controls["prompt"], self._mark)
        self.press(self.controls["paint"], self._paint)
        self.press(self.controls["finish"], self._finish)
        self.react(self.controls["played"], lambda _: self._show_all())
        self.react(self.controls["strict"], lambda _: self._show_all())
        self._paint()

    def paint(self) -> Self:
        """Paints with the values of the form and returns itself. Raises InputError as `trajectory_race` does."""
        with self._lock:
            self._paint()
        return self

    def finish_all(self) -> Self:
        """Finishes every candidate after the race is painted, which makes `worth` available, and returns itself."""
        if self._painted is None:
            self.wait()
        with self._lock:
            self._finish()
        return self

    @property
    def worth(self) -> pd.DataFrame | None:
        """One row per step with a possible choice; None before all candidates are finished."""
        if self._all is None:
            return None
        return pd.DataFrame(worth_table(self._all.rows[self.controls["strict"].value]), columns=list(COLUMNS))

    # painting

    def _paint(self) -> None:
        settings, points = self._form.read()
        prompt = asked(self.controls["prompt"].value)
        self._painted, self._all, self.stored, self.seen = None, None, None, ""
        self._urls: dict[tuple[int, int], str] = {}
        self._next = 0.0
        self._moment.value = _moment(settings, [(p.step, p.decoded_fraction) for p in points])
        self._mark(prompt)
        self._arrange()
        self.begin(lambda work: self._race(work, prompt, settings), show=self._grow, done=self._end_race)

    def _mark(self, prompt: str) -> None:
        """Shows what the model does not read of the prompt, and the words that it never saw."""
        self.reading = self._reader.read(asked(prompt))
        self._read.value = reading_html(self.reading)

    def _race(self, work: Work[Any], prompt: str, settings: DecodeSettings) -> RaceResult:
        stored = paint_race(work, self._opened(work), self.workspace, self._name, prompt, settings)
        race = open_race(stored)
        return RaceResult(stored, race, verdict(race))

    def _grow(self, race: Race) -> None:
        self._result = race
        now = time.monotonic()
        if now < self._next:
            return
        self.player.data = race_data(race, candidates_title(race), urls=self._urls)
        redraw(self.lines, plot_race(race))
        self._next = now + sum(map(len, self._urls.values())) / BYTES_PER_SECOND

    def _end_race(self, painted: RaceResult) -> None:
        self._painted, self.stored, self.result = painted, painted.stored, painted.race
        self.player.data = as_it_went(painted.race, painted.final)
        redraw(self.lines, plot_race(painted.race))
        self._arrange()

    # finishing

    def _finish(self) -> None:
        if self._painted is None:
            raise InputError("there is no painted race to finish: wait for it, or paint it again if it was cancelled")
        painted = self._painted
        self.begin(lambda work: self._everything(work, painted), done=self._end_all)

    def _everything(self, work: Work[Any], painted: RaceResult) -> FinishedRace:
        stored = what_if(work, self._opened(work), self.workspace, painted.stored)
        finished = open_finished(stored)
        rows = {strict: worth_by_step(finished, strict) for strict in (True, False)}
        return FinishedRace(finished, open_finished_race(stored), rows)

    def _end_all(self, everything: FinishedRace) -> None:
        self._all = everything
        self._show_all()
        self._arrange()

    def _show_all(self) -> None:
        """Shows the finished candidates according to the controls."""
        if self._all is None or self._painted is None:
            return
        (finished, full, rows), race = self._all, self._painted.race
        strict, all_played = self.controls["strict"].value, self.controls["played"].value == "all"
        index = made_at(finished, race)
        self.seen = explained(finished, race, index, strict)
        self._sentence.value = f"<p>{html.escape(self.seen)}</p>"
        whole = all_finished(race, finished, full, rows[True])
        self.player.data = whole if all_played else as_it_went(race, self._painted.final)
        title = "Alignment of all candidates to the end"
        redraw(self.lines, plot_race(full, title) if all_played else plot_race(race))
        redraw(self.curves, plot_worth(finished, rows[strict], rows[strict][index].decoded, strict))

    # parts

    def _named(self, model: Pretrained | str) -> tuple[str, Pretrained | None, Any]:
        """Returns the name of the model in the workspace, the model if it is open, and its configuration."""
        if isinstance(model, str):
            place = place_of(model, self.workspace)
            self._place, self._reader = place, open_prompt_reader(place)
            return self.workspace.shown(place), None, config_of(place)
        self._reader = model.reader
        return name_of(model, self.workspace), model, model.config

    def _opened(self, work: Work[Any]) -> Pretrained:
        if self._pretrained is None:
            work.tell(0.0, "opening the model")
            self._pretrained = open_model(self._place)
        set_threads(self._pretrained)
        return self._pretrained

    def _lay_out(self) -> None:
        play = {"display": "block", "flex": "3 1 420px", "min_width": "320px"}
        row = ipywidgets.HBox(
            [
                ipywidgets.Box([self.player], layout=play),
                ipywidgets.VBox([self.lines], layout={"flex": "2 1 400px", "min_width": "360px"}),
            ],
            layout={"flex_flow": "row wrap", **WIDE},
        )
        self._actions = ipywidgets.HBox(
            [self.controls[name] for name in ("finish", "played", "strict")], layout={"flex_flow": "row wrap"}
        )
        self._worth = ipywidgets.VBox(layout=WIDE)
        form = self._form.box(self.controls["paint"])
        self.body.children = [form, self._read, self._moment, row, self._actions, self._worth]

    def _arrange(self) -> None:
        """Shows only the controls and figures that apply."""
        has_all = self._all is not None
        self.controls["finish"].disabled = self._painted is None
        for name in ("finish", "played", "strict"):
            self.controls[name].layout.display = None if has_all != (name == "finish") else "none"
        wanted = (self._sentence, self.curves) if has_all else ()
        if self._worth.children != wanted:
            self._worth.children = wanted


def _buttons() -> dict[str, ipywidgets.Widget]:
    return {
        "paint": ipywidgets.Button(
            description="Paint", button_style="primary", tooltip="Paints a new race with these settings."
        ),
        "finish": ipywidgets.Button(
            description="Finish all candidates",
            layout={"width": "220px"},
            tooltip="Finishes the dropped candidates too, judges all of them, and measures the time.",
        ),
        "played": ipywidgets.ToggleButtons(
            options=[("all finished", "all"), ("as painted", "as it went")],
            description="Play",
            tooltips=["All candidates to their end.", "Dropped candidates only until they were dropped."],
        ),
        "strict": ipywidgets.Checkbox(
            value=True,
            indent=False,
            description="malformed counts as wrong",
            layout={"width": "220px"},
            tooltip="Off: a malformed object counts as the one it resembles.",
        ),
    }


def _moment(settings: DecodeSettings, points: list[tuple[int, float]]) -> str:
    """Returns the moments of comparison, as shares of tokens and of steps."""
    if settings.selection == "none" or settings.candidates == 1:
        return "<small>All candidates are finished; nothing is chosen.</small>"
    where = "; ".join(place_name(step, settings.steps, decoded) for step, decoded in points)
    how = {"once": "Chosen after", "every": "Chosen at every step after", "halving": "Halved after"}
    return f"<small>{how[settings.selection]} {where}.</small>"


SELECTIONS = ("once", "every", "halving", "none")
SHORT, LABEL = {"width": "190px"}, {"description_width": "90px"}


class RaceForm:
    """Form of a race; settings without a control keep their given values."""

    def __init__(self, config: DreamConfig, prompt: str, select_at: str, settings: dict[str, Any]) -> None:
        """Raises InputError for settings that cannot be combined."""
        self.config = config
        wanted = _settings(config, select_at, settings)[0]
        controlled = ("candidates", "selection", "steps", "guidance_scale", "seed", "select_steps")
        self.rest = {name: value for name, value in wanted.to_dict().items() if name not in controlled}
        self.controls: dict[str, ipywidgets.Widget] = {
            "prompt": ipywidgets.Text(
                value=prompt, description="Prompt", tooltip="Text to paint.", layout={"flex": "1 1 420px"}, style=LABEL
            ),
            "candidates": _whole(
                "Candidates", wanted.candidates, 1, max(MOST_CANDIDATES, wanted.candidates), "K, their number."
            ),
            "selection": ipywidgets.Dropdown(
                options=list(SELECTIONS),
                value=wanted.selection,
                description="Choice",
                layout=SHORT,
                style=LABEL,
                tooltip="once: at one step; every: at each step from there on, among draws of its tokens; "
                "halving: half of the candidates at a time; none: all are finished.",
            ),
            "select_at": ipywidgets.Text(
                value=select_at,
                description="Choice at",
                layout=SHORT,
                style=LABEL,
                tooltip="30%tokens, 12.5%steps or 8steps. Equal shares of tokens and of steps are different moments.",
            ),
            "steps": _whole("Steps", wanted.steps, 1, max(256, wanted.steps), "Number of steps to reveal all tokens."),
            "guidance_scale": ipywidgets.BoundedFloatText(
                value=wanted.guidance_scale,
                min=1.0,
                max=100.0,
                step=0.5,
                description="Guidance",
                tooltip="Guidance scale; 1 turns guidance off.",
                layout=SHORT,
                style=LABEL,
            ),
            "seed": _whole("Seed", wanted.seed, 0, 2**53 - 1, "Seed of the reveal order and of the noise."),
        }

    def read(self) -> tuple[DecodeSettings, list[SelectPoint]]:
        """Returns the settings and the points of comparison; raises InputError if they cannot be combined."""
        values = {name: control.value for name, control in self.controls.items()}
        del values["prompt"]
        return _settings(self.config, values.pop("select_at"), {**self.rest, **values})

    def box(self, button: ipywidgets.Button) -> ipywidgets.Box:
        """Returns the form with its button."""
        c = self.controls
        lines = [[c["prompt"], button], [c[name] for name in c if name != "prompt"]]
        rows = [ipywidgets.HBox(line, layout={"flex_flow": "row wrap", "width": "98%"}) for line in lines]
        return ipywidgets.VBox(rows, layout={"width": "100%"})


def _settings(
    config: DreamConfig, select_at: str, settings: dict[str, Any]
) -> tuple[DecodeSettings, list[SelectPoint]]:
    # rejects unknown names; the points of comparison follow below
    DecodeSettings.from_dict({**settings, "selection": "none"})
    plain = {name: value for name, value in settings.items() if name != "select_steps"}
    return race_settings_of(config, select_at, **plain)


def _whole(name: str, value: int, low: int, high: int, about: str) -> ipywidgets.BoundedIntText:
    return ipywidgets.BoundedIntText(
        value=value, min=low, max=high, description=name, tooltip=about, layout=SHORT, style=LABEL
    )
