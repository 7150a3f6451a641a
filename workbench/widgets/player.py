"""A decode in a notebook: the player, a step slider, figures, and the current step as data.

Everything that needs the model is computed in the background and then added to the player.
"""

import base64
import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dream.decoding.record import DecodeRecord
from dream.pretrained import open_prompt_reader
from workbench.decode.player_data import (
    add_inspection,
    check_painter,
    opened_decode,
    picture_after,
    player_data,
    record_of,
    remarks,
    was_looked_at,
)
from workbench.figures.decoding import plot_course, plot_order
from workbench.opening import model_id_of, open_model, place_of, set_threads
from workbench.player.widget import DecodePlayer
from workbench.reading import stored_remark
from workbench.runs.words import sentence
from workbench.store import StoredDecode
from workbench.widgets.figures import live
from workbench.widgets.instrument import Instrument
from workbench.work import Work
from workbench.workspace import open_workspace

if TYPE_CHECKING:
    from dream.model.pretrained import Pretrained

WIDE = {"width": "98%"}
HALF = {"flex": "1 1 340px", "min_width": "320px"}


@dataclass(frozen=True)
class LookedAt:
    """Attention of a token when it was revealed."""

    position: int
    """Position, row by row from 0."""
    words: pd.DataFrame
    """One row per word: `word`, and its `share` of the attention; the shares sum to 1."""
    places: NDArray[np.float64]
    """(grid, grid) share per position of the picture, without the buffer tokens."""


@dataclass(frozen=True)
class ShownStep:
    """A decode after one of its steps."""

    step: int
    """Steps done."""
    of: int
    decoded: float
    """Share of the tokens that are visible."""
    guidance: float
    """Guidance scale of the step."""
    alignment: float | None
    """Cosine between the picture so far and the prompt; None without a joint space."""
    revealed: tuple[int, ...]
    """Positions revealed in the step."""
    mask: NDArray[np.bool_]
    """(grid, grid) True where hidden."""
    picture: NDArray[np.uint8]
    """(H, W, 3) picture so far, with hidden cells in grey."""
    token: LookedAt | None
    """Details of the chosen token; None if it was given, or if there is no model."""


class DecodePlayback(Instrument[ShownStep]):
    """A decode, step by step; `result` is the current `ShownStep`.

    `controls`: `step` (steps done), `token` (position of the token in detail, -1: the first one of the step). `player`
    is the player itself; `order` and `course` are the figures.
    """

    def __init__(
        self,
        record: StoredDecode | DecodeRecord | str | Path,
        *,
        model: "Pretrained | str | None" = None,
        theme: str = "light",
    ) -> None:
        super().__init__()
        self._decode = opened_decode(record)
        self._record = record_of(self._decode)
        if model is not None:
            model = self._painter(model)
        self._said = self._reading(model)
        data = player_data(self._decode)
        self.player = DecodePlayer(data=data, events=["step", "position"], step=len(data["steps"]) - 1)
        self.order, self.course = live(plot_order(data), theme), live(plot_course(data), theme)
        self._remarks = ipywidgets.HTML()
        self.controls = {"step": _step_slider(data), "token": _token_box(data)}
        self._lay_out()
        self.react(self.controls["step"], self._go)
        self.react(self.controls["token"], self._pin)
        self.react(self.player, self._rested, "step")
        self.react(self.player, self._pinned, "position")
        self._show()
        if model is not None and not was_looked_at(data):
            self.begin(lambda work: self._look(work, model), done=self._take)

    def _reading(self, model: "Pretrained | str | None") -> str:
        """Returns what was said of the prompt when it was painted, or what the model would say; empty if neither."""
        stored = stored_remark(self._decode.about) if isinstance(self._decode, StoredDecode) else ""
        if stored or model is None:
            return stored
        reader = open_prompt_reader(model) if isinstance(model, (str, Path)) else model.reader
        return sentence(reader.read(self._record.about.prompts[0]).remark)

    def _painter(self, model: "Pretrained | str") -> "Pretrained | str":
        """Returns the model or its path, after checking that it painted this decode."""
        if not isinstance(model, (str, Path)):
            check_painter(self._record, model.model_id)
            return model
        place = place_of(model, open_workspace())
        check_painter(self._record, model_id_of(place, ema=self._averaged))
        return place

    @property
    def _averaged(self) -> bool:
        about = self._decode.about if isinstance(self._decode, StoredDecode) else {}
        return about.get("weights", "averaged") == "averaged"

    def _lay_out(self) -> None:
        row = ipywidgets.HBox(list(self.controls.values()), layout={"flex_flow": "row wrap", "width": "98%"})
        figures = [ipywidgets.VBox([each], layout=HALF) for each in (self.order, self.course)]
        self.body.children = [
            row,
            ipywidgets.Box([self.player], layout={"display": "block", **WIDE}),
            self._remarks,
            ipywidgets.HBox(figures, layout={"flex_flow": "row wrap", **WIDE}),
        ]

    def _look(self, work: Work[dict[str, Any]], model: "Pretrained | str") -> dict[str, Any]:
        work.tell(0.0, "opening the model")
        pretrained = open_model(model, ema=self._averaged) if isinstance(model, (str, Path)) else model
        set_threads(pretrained)
        return add_inspection(work, self._decode, pretrained)

    def _take(self, data: dict[str, Any]) -> None:
        self.player.data = data
        self._show()

    # navigation

    def _go(self, step: int) -> None:
        self.player.step = next(i for i, one in enumerate(self._steps) if one["step"] == step)
        self._show()

    def _rested(self, index: int) -> None:
        self.controls["step"].value = self._steps[index]["step"]

    def _pin(self, position: int) -> None:
        self.player.position = position
        self._show()

    def _pinned(self, position: int) -> None:
        self.controls["token"].value = position

    @property
    def _steps(self) -> list[dict[str, Any]]:
        return self.player.data["steps"]

    def _show(self) -> None:
        data, index = self.player.data, self.player.step
        step, grid = data["steps"][index], data["grid"]
        hidden = np.asarray(data["order"]).reshape(grid, grid) > index
        picture = picture_after(self._record, step["step"])
        position = self.controls["token"].value
        if position < 0:
            position = step["revealed"][0]
        self.result = ShownStep(
            step["step"],
            step["of"],
            step["decoded"],
            step["guidance"],
            step["alignment"],
            tuple(step["revealed"]),
            hidden,
            np.ascontiguousarray(picture.transpose(1, 2, 0)),
            _looked_at(data, position),
        )
        pictures = len(self._record.about.prompts)
        notes = remarks(data, len(self._record.steps))
        if pictures > 1:
            notes.append(f"The record has {pictures} pictures; this is the first.")
        if self._said:
            notes.append(self._said)
        self._remarks.value = f"<small>{html.escape(' '.join(notes))}</small>" if notes else ""


def _step_slider(data: dict[str, Any]) -> ipywidgets.SelectionSlider:
    options = [(f"{one['step']} of {one['of']}", one["step"]) for one in data["steps"]]
    return ipywidgets.SelectionSlider(
        options=options,
        value=options[-1][1],
        description="Steps done",
        continuous_update=True,
        tooltip="Step shown in the player and in the result; linked to the slider of the player.",
        layout={"width": "420px"},
    )


def _token_box(data: dict[str, Any]) -> ipywidgets.BoundedIntText:
    return ipywidgets.BoundedIntText(
        min=-1,
        max=data["grid"] ** 2 - 1,
        value=-1,
        description="Token",
        tooltip="Position of the token in detail, row by row from 0; a click in the player sets it. "
        "-1: the first token of the step.",
        layout={"width": "170px"},
    )


def _looked_at(data: dict[str, Any], position: int) -> LookedAt | None:
    """Returns the attention of the token that the player shows, as shares."""
    if not was_looked_at(data) or not 0 <= data["order"][position] < len(data["steps"]):
        return None
    grid, words = data["grid"], data["words"]
    cross, places = _row(data["cross"], position, len(words)), _row(data["self"], position, grid * grid)
    return LookedAt(position, pd.DataFrame({"word": words, "share": cross}), places.reshape(grid, grid))


def _row(text: str, row: int, columns: int) -> NDArray[np.float64]:
    weights = np.frombuffer(base64.b64decode(text), np.uint8).reshape(-1, columns)[row].astype(float)
    return weights / max(1.0, weights.sum())
