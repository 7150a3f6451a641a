"""The form above a race in a notebook: prompt, settings and the moment of the choice. It paints nothing."""

from typing import Any

import ipywidgets

from dream.config import DreamConfig
from dream.decoding.selection import DecodeSettings, SelectPoint
from workbench.trajectories.race import MOST_CANDIDATES, race_settings_of

SELECTIONS = ("once", "every", "halving", "none")
SHORT, LABEL = {"width": "190px"}, {"description_width": "90px"}


class RaceForm:
    """Controls of a race, by name; what none of them holds stays as it was given."""

    def __init__(self, config: DreamConfig, prompt: str, select_at: str, settings: dict[str, Any]) -> None:
        """Raises InputError for settings that do not go together."""
        self.config = config
        wanted = _settings(config, select_at, settings)[0]
        taken = ("candidates", "selection", "steps", "guidance_scale", "seed", "select_steps")
        self.rest = {name: value for name, value in wanted.to_dict().items() if name not in taken}
        self.controls: dict[str, ipywidgets.Widget] = {
            "prompt": ipywidgets.Text(
                value=prompt,
                description="Prompt",
                tooltip="What is to be painted.",
                layout={"flex": "1 1 420px"},
                style=LABEL,
            ),
            "candidates": _whole(
                "Candidates", wanted.candidates, 1, max(MOST_CANDIDATES, wanted.candidates), "K: how many are begun."
            ),
            "selection": ipywidgets.Dropdown(
                options=list(SELECTIONS),
                value=wanted.selection,
                description="Choice",
                layout=SHORT,
                style=LABEL,
                tooltip="once: at one step; every: at each step from there on, "
                "among draws of its tokens; halving: fewer and fewer; none: all are finished.",
            ),
            "select_at": ipywidgets.Text(
                value=select_at,
                description="Choice at",
                layout=SHORT,
                style=LABEL,
                tooltip="30%tokens, 12.5%steps or 8steps. Tokens and steps are far apart.",
            ),
            "steps": _whole("Steps", wanted.steps, 1, max(256, wanted.steps), "In how many steps tokens are revealed."),
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
            "seed": _whole("Seed", wanted.seed, 0, 2**53 - 1, "Of the order and of the noise."),
        }

    def read(self) -> tuple[DecodeSettings, list[SelectPoint]]:
        """The settings as they stand, and where candidates are compared; InputError where they do not go
        together.
        """
        values = {name: control.value for name, control in self.controls.items()}
        del values["prompt"]
        return _settings(self.config, values.pop("select_at"), {**self.rest, **values})

    def box(self, button: ipywidgets.Button) -> ipywidgets.Box:
        """The form with its button."""
        c = self.controls
        lines = [[c["prompt"], button], [c[name] for name in c if name != "prompt"]]
        rows = [ipywidgets.HBox(line, layout={"flex_flow": "row wrap", "width": "98%"}) for line in lines]
        return ipywidgets.VBox(rows, layout={"width": "100%"})


def _settings(
    config: DreamConfig, select_at: str, settings: dict[str, Any]
) -> tuple[DecodeSettings, list[SelectPoint]]:
    # unknown names are refused here; where is chosen comes below
    DecodeSettings.from_dict({**settings, "selection": "none"})
    plain = {name: value for name, value in settings.items() if name != "select_steps"}
    return race_settings_of(config, select_at, **plain)


def _whole(name: str, value: int, low: int, high: int, about: str) -> ipywidgets.BoundedIntText:
    return ipywidgets.BoundedIntText(
        value=value, min=low, max=high, description=name, tooltip=about, layout=SHORT, style=LABEL
    )
